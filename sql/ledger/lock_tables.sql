LOCK TABLE :tables IN :mode MODE;
