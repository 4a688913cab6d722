CREATE SCHEMA cronx;
CREATE TABLE cronx.ledger (version BIGINT NOT NULL);
CREATE TABLE cronx.entries (
    key TEXT COLLATE "C" PRIMARY KEY,
    job TEXT COLLATE "C",
    fence BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    fingerprint BYTEA,
    state SMALLINT NOT NULL,
    said TEXT NOT NULL,
    bid BYTEA,
    until_ns BIGINT,
    since_ns BIGINT NOT NULL
);
CREATE INDEX entries_open ON cronx.entries (job) WHERE state < 3;
CREATE INDEX entries_since ON cronx.entries (since_ns);
CREATE TABLE cronx.courses (
    job TEXT COLLATE "C" PRIMARY KEY,
    cursor_ns BIGINT NOT NULL,
    ahead TEXT NOT NULL
);
INSERT INTO cronx.ledger VALUES (1);
