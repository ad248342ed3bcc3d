-- What a build that did not end has left. It is invalid, so nobody uses it.
DROP INDEX :index;
