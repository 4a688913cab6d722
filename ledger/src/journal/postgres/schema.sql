CREATE SCHEMA cronx_journal;
CREATE TABLE cronx_journal.journal (version BIGINT NOT NULL, sealed_ns BIGINT NOT NULL);
-- One that is drawn is never drawn again, and no session keeps some for later.
CREATE SEQUENCE cronx_journal.positions AS BIGINT CACHE 1;
CREATE TABLE cronx_journal.heads (
    aggregate TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE cronx_journal.seen (
    id BYTEA PRIMARY KEY,
    fingerprint BYTEA NOT NULL,
    position BIGINT NOT NULL,
    version BIGINT NOT NULL,
    at_ns BIGINT NOT NULL
);
CREATE INDEX seen_at ON cronx_journal.seen (at_ns);
CREATE TABLE cronx_journal.offsets (
    consumer TEXT COLLATE "C" PRIMARY KEY,
    position BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE cronx_journal.dead (
    consumer TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    id BYTEA NOT NULL,
    aggregate TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    trace BYTEA,
    at_ns BIGINT NOT NULL,
    payload TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (consumer, position)
);
CREATE INDEX dead_aggregate ON cronx_journal.dead (consumer, aggregate);
CREATE TABLE cronx_journal.days (
    day BIGINT PRIMARY KEY,
    tier SMALLINT NOT NULL,
    since_ns BIGINT NOT NULL,
    restored BOOLEAN NOT NULL,
    count BIGINT,
    first BIGINT,
    last BIGINT,
    digest BYTEA
);
CREATE TABLE cronx_journal.events (
    position BIGINT NOT NULL,
    id BYTEA NOT NULL,
    aggregate TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    trace BYTEA,
    at_ns BIGINT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (position, at_ns)
) PARTITION BY RANGE (at_ns);
CREATE INDEX events_aggregate ON cronx_journal.events (aggregate, version);
-- Events of a day for which nobody has made a table: whoever makes it brings them there.
CREATE TABLE cronx_journal.events_rest PARTITION OF cronx_journal.events DEFAULT;
INSERT INTO cronx_journal.journal VALUES (1, -9223372036854775808);

CREATE FUNCTION cronx_journal.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'read_only_sql_transaction';
END $$;

-- Appends an event within the caller's transaction. outcome: 0 appended, 1 it was before, 2 its id was used
-- for something else, 3 its version is not the next, and head is the last one.
CREATE FUNCTION cronx_journal.append(
    new_id BYTEA, new_aggregate TEXT, wanted BIGINT, new_who TEXT, new_what TEXT, new_trace BYTEA,
    new_payload TEXT, print BYTEA, now_ns BIGINT,
    OUT outcome SMALLINT, OUT place BIGINT, OUT head BIGINT
) LANGUAGE plpgsql AS $$
DECLARE
    known cronx_journal.seen%ROWTYPE;
BEGIN
    -- Before a position is drawn, and until this transaction is over: readers wait for those who hold it.
    PERFORM pg_advisory_xact_lock_shared(1668443768, 1785687410);
    -- Two that append to one aggregate come one after the other, and the second sees what the first did.
    INSERT INTO cronx_journal.heads VALUES (new_aggregate, 0) ON CONFLICT DO NOTHING;
    SELECT version INTO head FROM cronx_journal.heads WHERE aggregate = new_aggregate FOR UPDATE;
    SELECT * INTO known FROM cronx_journal.seen WHERE id = new_id;
    IF FOUND THEN
        outcome := CASE WHEN known.fingerprint = print THEN 1 ELSE 2 END;
        place := known.position;
        head := known.version;
        RETURN;
    END IF;
    IF wanted IS NOT NULL AND wanted <> head + 1 THEN
        outcome := 3;
        RETURN;
    END IF;
    outcome := 0;
    head := head + 1;
    place := nextval('cronx_journal.positions');
    now_ns := coalesce(now_ns, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000);
    -- A clock that goes back appends after the days that are sealed.
    SELECT greatest(now_ns, sealed_ns) INTO now_ns FROM cronx_journal.journal;
    INSERT INTO cronx_journal.seen VALUES (new_id, print, place, head, now_ns);
    INSERT INTO cronx_journal.events
        VALUES (place, new_id, new_aggregate, head, new_who, new_what, new_trace, now_ns, new_payload);
    UPDATE cronx_journal.heads SET version = head WHERE aggregate = new_aggregate;
END $$;
