-- A database for a dump. Evolution compares names by their letters, so letters have to be known.
CREATE DATABASE :"database" OWNER :"owner" TEMPLATE "template0" ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE :'ctype';
