//! Messages of Postgres, and of what is between it and Evolution, in the languages that Evolution's users paste:
//! English, Portuguese and Spanish. Accents are folded before, quotes are plain.
//!
//! Each has a name, which patterns use (`message=`), the SQLSTATE that comes with it, and a regular expression whose named
//! groups are parts: `constraint`, `table`, `relation`, `column`, `width`.

use std::sync::LazyLock;

use regex::Regex;

/// A message that is recognised.
pub(super) struct KnownMessage {
    pub name: &'static str,
    pub sqlstate: &'static str,
    pub pattern: Regex,
}

const MESSAGES: &[(&str, &str, &str)] = &[
    ("prisma-unique", "23505", r"Unique constraint (?:failed|violation) on the"),
    ("prisma-foreign-key", "23503", r"Foreign key constraint (?:failed|violated)(?: on the|:)"),
    ("prisma-null", "23502", r"Null constraint violation"),
    (
        "unique-violation",
        "23505",
        r#"(?:duplicate key value violates unique constraint|duplicar valor d[ae] chave viola a? ?restricao de unicidade|llave duplicada viola (?:la )?restriccion de unicidad) "(?P<constraint>[^"]+)""#,
    ),
    (
        "index-not-created",
        "23505",
        r#"(?:could not create unique index|nao (?:pode|foi possivel) criar indice unico|no se pudo crear el indice unico) "(?P<constraint>[^"]+)""#,
    ),
    (
        "child-without-parent",
        "23503",
        r#"(?:insert or update on table|insercao ou atualizacao (?:em|na) tabela|insercion o actualizacion en la tabla) "(?P<table>[^"]+)" (?:violates foreign key constraint|viola (?:a )?restricao de chave estrangeira|viola la (?:llave foranea|restriccion de llave foranea)) "(?P<constraint>[^"]+)""#,
    ),
    (
        "parent-in-use",
        "23503",
        r#"(?:update or delete on(?: table)?|atualizacao ou exclusao (?:em|na) tabela|(?:update o delete|actualizacion o eliminacion) en(?: la tabla)?) "[^"]+" (?:violates (?:RESTRICT setting of )?foreign key constraint|viola .{0,30}chave estrangeira|viola .{0,30}llave foranea) "(?P<constraint>[^"]+)"(?: (?:on table|em|na tabela|en la tabla) "(?P<table>[^"]+)")?"#,
    ),
    (
        "null-value",
        "23502",
        r#"(?:null value in column|valor nulo na coluna|valor nulo en la columna) "(?P<column>[^"]+)"(?: (?:of relation|da relacao|de la relacion) "(?P<relation>[^"]+)")? viola"#,
    ),
    (
        "column-has-nulls",
        "23502",
        r#"(?:column|coluna|columna) "(?P<column>[^"]+)" (?:of (?:relation|table)|da (?:relacao|tabela)|de la (?:relacion|tabla)) "(?P<relation>[^"]+)" (?:contains null values|contem valores nulos|contiene valores (?:null|nulos))"#,
    ),
    (
        "check-violation",
        "23514",
        r#"(?:violates check constraint|viola (?:a )?restricao de verificacao|viola la restriccion(?: de verificacion| "?check"?)?) "(?P<constraint>[^"]+)""#,
    ),
    (
        "column-missing",
        "42703",
        r#"(?:column "?(?P<column>[\w.]+)"?(?: of relation "(?P<relation>[^"]+)")? does not exist|coluna "?(?P<column2>[\w.]+)"?(?: da relacao "(?P<relation2>[^"]+)")? nao existe|no existe la columna "?(?P<column3>[\w.]+)"?(?: en la relacion "(?P<relation3>[^"]+)")?|The column [`"']?(?P<column4>[\w.]+|\(not available\))[`"']? does not exist in the current database)"#,
    ),
    (
        "record-without-field",
        "42703",
        r#"record "(?:new|old|NEW|OLD)" has no field|registro "(?:new|old|NEW|OLD)" nao (?:tem|possui) campo|el registro "(?:new|old|NEW|OLD)" no tiene un campo"#,
    ),
    (
        "relation-missing",
        "42P01",
        r#"(?:relation "(?P<relation>[^"]+)" does not exist|relacao "(?P<relation2>[^"]+)" nao existe|no existe la relacion "(?P<relation3>[^"]+)"|la relacion "(?P<relation5>[^"]+)" no existe|The table [`"'](?P<relation4>[^`"']+)[`"'] does not exist in the current database)"#,
    ),
    (
        "relation-exists",
        "42P07",
        r#"(?:relation "(?P<relation>[^"]+)" already exists|relacao "(?P<relation2>[^"]+)" ja existe|la relacion "(?P<relation3>[^"]+)" ya existe|ya existe una relacion llamada "(?P<relation4>[^"]+)")"#,
    ),
    (
        "column-exists",
        "42701",
        r#"(?:column "(?P<column>[^"]+)" of relation "(?P<relation>[^"]+)" already exists|coluna "(?P<column2>[^"]+)" da relacao "(?P<relation2>[^"]+)" ja existe|ya existe la columna "(?P<column3>[^"]+)" en la relacion "(?P<relation3>[^"]+)")"#,
    ),
    (
        "object-exists",
        "42710",
        r#"(?:type|constraint|tipo|restricao) "[^"]+"(?: for relation "(?P<relation>[^"]+)"| da relacao "[^"]+")? (?:already exists|ja existe|ya existe)|ya existe un tipo(?: llamado)? "[^"]+"|la restriccion "[^"]+" para la relacion "[^"]+" ya existe"#,
    ),
    (
        "object-missing",
        "42704",
        r#"(?:index|constraint|type|indice|restricao|tipo) "(?P<constraint>[^"]+)"(?: of relation "(?P<relation>[^"]+)"| da relacao "[^"]+")? (?:does not exist|nao existe)|no existe (?:el indice|la restriccion|el tipo) "(?P<constraint2>[^"]+)""#,
    ),
    (
        "no-matching-unique",
        "42P10",
        r"no unique or exclusion constraint matching the ON CONFLICT specification|nao ha (?:uma )?restricao de unicidade ou de exclusao que corresponda a especificacao ON CONFLICT|no hay restriccion unica o de exclusion que coincida con la especificacion ON CONFLICT",
    ),
    (
        "scalar-elements",
        "22023",
        r"cannot extract elements from (?:a scalar|an object)|nao (?:pode|podem|e possivel) extrair elementos de um (?:escalar|objeto)|no se pued(?:o|en|e) extraer elementos de un (?:escalar|objeto)",
    ),
    (
        "value-too-long",
        "22001",
        r"(?:value too long for type|valor e? ?muito longo para (?:o )?tipo|el valor es demasiado largo para el tipo) character(?: varying)?\((?P<width>\d+)\)|value (?:for the column )?(?:is )?too long for the column's type",
    ),
    (
        "objects-depend",
        "2BP01",
        r"because other objects depend on (?:it|them)|porque outros objetos dependem dele|porque otros objetos dependen de ell?(?:os)?|cannot drop index \S+ because constraint",
    ),
    (
        "type-in-use",
        "0A000",
        r"cannot alter type of a column used|nao pode alterar (?:o )?tipo de (?:uma )?coluna utilizad[ao]|no se puede alterar el tipo de una columna usada",
    ),
    (
        "wrong-password",
        "28P01",
        r#"password authentication failed for user|autenticacao do tipo senha falhou|autenticacao por senha falhou|autentifica?cion (?:password|por contrasena) fallo|Authentication failed against(?: the)? database server|(?:the )?provided database credentials .{0,60} are not valid|SASL: SCRAM-SERVER-FIRST-MESSAGE"#,
    ),
    (
        "peer-authentication",
        "28P01",
        r"(?:Peer|Ident) authentication failed for user|autenticacao do tipo (?:peer|ident) falhou|autentifica?cion (?:peer|ident) fallo",
    ),
    (
        "no-access-rule",
        "28000",
        r"no pg_hba\.conf entry for|nenhuma entrada no pg_hba\.conf|no hay una linea en pg_hba\.conf",
    ),
    (
        "role-missing",
        "28000",
        r#"role "[^"]+" (?:does not exist|is not permitted to log in|nao existe)|no existe el rol "[^"]+""#,
    ),
    (
        "database-missing",
        "3D000",
        r#"(?i)database [`"][^`"]+[`"] does not exist(?: on the database server)?|banco de dados "[^"]+" nao existe|no existe la base de datos "[^"]+"|base de datos "[^"]+" no existe"#,
    ),
    (
        "too-many-clients",
        "53300",
        r"too many clients already|max clients reached|muitos clientes conectados|demasiados clientes|remaining connection slots are reserved|(?:lacunas|vagas) de conexao (?:remanescentes|restantes)|conexiones restantes estan reservadas|Too many database connections opened|too many connections for (?:role|database)|max_client_conn|no more connections allowed",
    ),
    (
        "disk-full",
        "53100",
        r"(?i)no space left on device|nao ha espaco (?:disponivel|restante) no dispositivo|sem espaco no dispositivo|no queda espacio en el dispositivo|\bENOSPC\b|disk quota exceeded|disk full",
    ),
    (
        "out-of-memory",
        "53200",
        r"(?:ERROR|FATAL|ERRO): +(?:out of (?:shared )?memory|sem memoria(?: compartilhada)?|memoria (?:compartida )?agotada)|\bout of shared memory\b|max_locks_per_transaction|memoria (?:compartida )?agotada|sem memoria compartilhada|could not resize shared memory segment",
    ),
    (
        "permission-denied",
        "42501",
        r#"permission denied for (?:schema|table|relation|database|sequence|column|language|function|view|type)|permissao negada para|permiso denegado a|must be owner of (?:table|relation|type|schema|database|index)|deve ser (?:o )?dono d[aeo]|debe ser dueno de|was denied access on the database|must be (?:superuser|able to SET ROLE)"#,
    ),
    (
        "read-only",
        "25006",
        r"cannot execute [A-Z ]+ in a read-only transaction|nao pode executar [A-Z ]+ em uma transacao somente leitura|no se puede ejecutar [A-Z ]+ en una transaccion de solo lectura|cannot execute [A-Z ]+ during recovery",
    ),
    (
        "deadlock",
        "40P01",
        r"deadlock detected|impasse detectado|se ha detectado un deadlock|write conflict or a deadlock|could not serialize access|nao (?:pode|foi possivel) serializar (?:o )?acesso|no se pudo serializar el acceso",
    ),
    (
        "ended-by-administrator",
        "57P01",
        r"terminating connection due to administrator command|(?:terminando|encerrando|finalizando) (?:a )?conexao (?:por causa de um|devido a) comando do administrador|terminando la conexion debido a una orden del administrador|Server has closed the connection|Connection terminated unexpectedly|server closed the connection unexpectedly|servidor (?:fechou|encerrou) a conexao inesperadamente|el servidor ha cerrado la conexion|connection to server was lost|because of crash of another server process|falla en otro proceso servidor|falha de outro processo servidor|Connection terminated due to connection timeout",
    ),
    (
        "starting",
        "57P03",
        r"the database system is (?:starting up|shutting down|in recovery mode|not yet accepting connections|not accepting connections)|o sistema de banco de dados esta (?:iniciando|desligando|em modo de recuperacao)|el sistema de base de datos esta (?:iniciandose|apagandose|en modo de recuperacion)",
    ),
    (
        "statement-timeout",
        "57014",
        r"canceling statement due to (?:statement timeout|user request)|cancelando comando por causa do tempo de espera \(timeout\) do comando|cancelando comando por causa de (?:um )?pedido do usuario|cancelando la sentencia debido a (?:que se agoto el tiempo de espera de sentencias|una peticion del usuario)",
    ),
    (
        "lock-timeout",
        "55P03",
        r"canceling statement due to lock timeout|cancelando comando por causa do tempo de espera \(timeout\) do bloqueio|tiempo de espera de candados|could not obtain lock on",
    ),
    (
        "damaged",
        "XX001",
        r"invalid page in block|could not locate a valid checkpoint record|invalid (?:primary )?checkpoint record|pagina invalida no bloco|la pagina no es valida en el bloque|could not read block \d+ in file|nao (?:pode|foi possivel) ler (?:o )?bloco \d+ (?:no|do) arquivo|no se pudo leer el bloque \d+ del archivo|missing chunk number \d+ for toast value|unexpected chunk number|page verification failed|compressed (?:lz4|pglz) data is corrupt|could not access status of transaction|invalid memory alloc request size|uncommitted xmin .{0,60} needs to be frozen",
    ),
    (
        "damaged-index",
        "XX002",
        r#"(?:index "[^"]+" (?:contains unexpected zero page|contains corrupted page|is not a btree)|could not find .{0,40}downlink|posting list tuple|failed to re-find (?:parent key|tuple)|right sibling's left-link doesn't match)"#,
    ),
    (
        "collation",
        "01000",
        r"collation version mismatch|(?:incompatibilidade|discordancia) .{0,15}versao (?:de|da) (?:ordenacao|collation|agrupamento)|versao de ordenacao incompativel|discordancia (?:de|en la) version de|using collation version",
    ),
    (
        "redis-unreachable",
        "",
        r"ECONNREFUSED.{0,80}\b6379\b|(?:ENOTFOUND|EAI_AGAIN) \S*redis|ETIMEDOUT.{0,60}\b6379\b",
    ),
    (
        "prepared-statement",
        "42P05",
        r#"prepared statement "[^"]+" (?:already exists|does not exist)|comando preparado "[^"]+" (?:ja|nao) existe|la sentencia preparada "[^"]+" ya existe|no existe la sentencia preparada|bind message supplies \d+ parameters, but prepared statement"#,
    ),
    (
        "text-encoding",
        "22P05",
        r"invalid byte sequence for encoding|sequencia de bytes .{0,12}invalida para (?:a )?codificacao|secuencia de bytes no valida para (?:la )?codificacion|has no equivalent in encoding|nao tem equivalente na codificacao|no tiene equivalente en la codificacion|unsupported Unicode escape sequence|\\u0000 cannot be converted to text|u0000 cannot be converted",
    ),
    (
        "unreachable",
        "08001",
        r"Can't reach database server|ECONNREFUSED.{0,80}\b(?:5432|5433|6432)\b|(?:ENOTFOUND|EAI_AGAIN) \S*(?:postgres|pgbouncer|database|\bdb\b|_db\b)|ETIMEDOUT.{0,60}\b5432\b|could not connect to server|nao (?:pode|foi possivel) conectar(?:-se)? (?:ao|com o) servidor|no se pudo conectar con el servidor|(?i:connection to server) .{0,80}failed: (?:Connection refused|timeout|No route|Operation timed out)|could not translate host name|nao (?:pode|foi possivel) traduzir (?:o )?nome (?:da maquina|do host)|The database server at [`'\x22]?[^`'\x22]+[`'\x22]? was reached but timed out",
    ),
    (
        "statement-mode",
        "08P01",
        r"unsupported startup parameter|query_wait_timeout|pgbouncer cannot connect to server|server login has been failing|server conn crashed",
    ),
    (
        "tls",
        "P1011",
        r"self[- ]signed certificate(?: in certificate chain)?|Error opening a TLS connection|server does not support SSL|SSL is not enabled on the server|unable to verify the first certificate|certificate has expired|no encryption\b.*pg_hba|pg_hba.*no encryption",
    ),
    (
        "idle-in-transaction",
        "25P03",
        r"terminating connection due to idle-in-transaction timeout|tempo (?:de espera )?de inatividade na transacao|inactividad (?:en|dentro de) la transaccion",
    ),
    (
        "wrong-value",
        "22P02",
        r"invalid input syntax for type|sintaxe de entrada (?:e )?invalida para (?:o )?tipo|sintaxis de entrada no (?:es )?valida para (?:el )?tipo",
    ),
    ("already-modified", "27000", r"tuple to be updated was already modified by an operation triggered"),
    (
        "wrong-enum-value",
        "22P02",
        r#"invalid input value for enum "?(?P<relation>[\w]+)"?|valor de entrada (?:e )?invalido para enum "?(?P<relation2>[\w]+)"?|valor de entrada no valido para (?:el )?enum "?(?P<relation3>[\w]+)"?"#,
    ),
    (
        "files-of-other-version",
        "22023P",
        r"database files are incompatible with server|arquivos d[eo] banco de dados (?:sao|estao) incompativeis com o servidor|archivos de base de datos son incompatibles con el servidor|data directory was initialized by PostgreSQL version",
    ),
    (
        "schema-missing",
        "3F000",
        r#"schema "[^"]+" does not exist|esquema "[^"]+" nao existe|no existe el esquema|no schema has been selected"#,
    ),
];

/// The messages that are recognised.
pub(super) static ALL: LazyLock<Vec<KnownMessage>> = LazyLock::new(|| {
    MESSAGES
        .iter()
        .map(|&(name, sqlstate, pattern)| KnownMessage {
            name,
            sqlstate,
            pattern: Regex::new(pattern).expect("a pattern of this program"),
        })
        .collect()
});
