CREATE SCHEMA cronx_saga;
CREATE TABLE cronx_saga.saga (version BIGINT NOT NULL);
CREATE TABLE cronx_saga.states (
    saga TEXT COLLATE "C" PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    payload TEXT NOT NULL,
    state SMALLINT NOT NULL,
    body TEXT NOT NULL,
    due_ns BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    owner TEXT,
    until_ns BIGINT,
    begun_ns BIGINT NOT NULL,
    since_ns BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX states_due ON cronx_saga.states (due_ns) WHERE state < 5;
CREATE INDEX states_since ON cronx_saga.states (since_ns);
-- Apart from the states: an action holds its gate until it commits, and its owner goes on saying that he lives.
CREATE TABLE cronx_saga.gates (
    key TEXT COLLATE "C" PRIMARY KEY,
    open BOOLEAN NOT NULL
);
CREATE TABLE cronx_saga.events (
    saga TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    at_ns BIGINT NOT NULL,
    began_ns BIGINT NOT NULL,
    who TEXT NOT NULL,
    step TEXT NOT NULL,
    way TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    what TEXT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (saga, number)
);
INSERT INTO cronx_saga.saga VALUES (1);
