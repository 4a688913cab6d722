//! Days: what becomes of each one's partition.

use cronx_scheduler::Utc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Transaction};

use super::{Inner, offsets, row, schema};
use crate::Error;
use crate::journal::day::Summing;
use crate::journal::tables::Dropped;
use crate::journal::{Consumer, Day, Event, Position, Seal, Standing, Tier};
use crate::server::postgres::failed;

const HOT: i16 = 0;
const WARM: i16 = 1;
const COLD: i16 = 2;
/// Of a table that is not complete yet.
const RESTORING: &str = "_restoring";
const PAGE: usize = 4096;
const DAYS: &str = "SELECT day, tier, since_ns, restored, count, first, last, digest
    FROM cronx_journal.days";

pub(super) async fn all(inner: &Inner) -> Result<Vec<Standing>, Error> {
    let sql = format!("{DAYS} ORDER BY day");
    let rows =
        inner.client().await?.query(&sql, &[]).await.map_err(failed("read", &inner.place))?;
    rows.iter().map(|row| standing(row, &inner.place)).collect()
}

fn standing(row: &Row, place: &str) -> Result<Standing, Error> {
    let day = Day(row.get(0));
    let torn = |reason: &str| Error::Torn {
        place: place.to_owned(),
        row: format!("the day {day}"),
        reason: reason.to_owned(),
    };
    let seal = || {
        let digest: Option<&[u8]> = row.get(7);
        let numbers = [row.get(4), row.get(5), row.get(6)];
        let [Some(count), Some(first), Some(last)] = numbers else {
            return Err(torn("it has no seal"));
        };
        let digest = digest.and_then(|digest| digest.try_into().ok());
        let digest = digest.ok_or_else(|| torn("its digest has not 32 bytes"))?;
        let count: i64 = count;
        Ok(Seal { count: count as u64, first: Position(first), last: Position(last), digest })
    };
    let tier = match row.get(1) {
        HOT => Tier::Hot,
        WARM => Tier::Warm(seal()?),
        COLD => Tier::Cold(seal()?),
        _ => return Err(torn("there is no such tier")),
    };
    Ok(Standing { day, tier, since: Utc(row.get(2)), is_restored: row.get(3) })
}

/// Its row, locked until the transaction ends.
async fn one(inner: &Inner, transaction: &Transaction<'_>, day: Day) -> Result<Standing, Error> {
    let sql = format!("{DAYS} WHERE day = $1 FOR UPDATE");
    let row = transaction.query_opt(&sql, &[&day.0]).await.map_err(failed("read", &inner.place))?;
    row.map_or_else(
        || Err(refused(inner, day, "there is no such day")),
        |row| standing(&row, &inner.place),
    )
}

fn refused(inner: &Inner, day: Day, reason: &str) -> Error {
    let (what, place) = ("keep the days of", inner.place.clone());
    Error::Unavailable { what, place, reason: format!("{day}: {reason}") }
}

/// Days that are to come, and those that came and had no partition.
pub(super) async fn prepare(inner: &Inner, from: Day, through: Day) -> Result<(), Error> {
    let sql = format!(
        "SELECT DISTINCT div(at_ns, 86400000000000)::bigint FROM cronx_journal.events_rest
         UNION SELECT generate_series({}::bigint, {}::bigint)
         EXCEPT SELECT day FROM cronx_journal.days ORDER BY 1",
        from.0, through.0
    );
    let rows =
        inner.client().await?.query(&sql, &[]).await.map_err(failed("read", &inner.place))?;
    for row in rows {
        make(inner, Day(row.get(0))).await?;
    }
    Ok(())
}

async fn make(inner: &Inner, day: Day) -> Result<(), Error> {
    let mut client = inner.client().await?;
    let now = inner.now(&client).await?;
    let what = "make a day of";
    let transaction = schema::hurried(inner, &mut client, what).await?;
    let sql = "INSERT INTO cronx_journal.days (day, tier, since_ns, restored)
         VALUES ($1, $2, $3, false) ON CONFLICT DO NOTHING";
    let made = transaction.execute(sql, &[&day.0, &HOT, &now.0]).await;
    if made.map_err(failed(what, &inner.place))? == 1 {
        let table = schema::table(day);
        schema::make_table(&transaction, &table).await.map_err(failed(what, &inner.place))?;
        schema::attach(&transaction, day, true).await.map_err(failed(what, &inner.place))?;
    }
    transaction.commit().await.map_err(failed(what, &inner.place))
}

async fn sum(inner: &Inner, table: &str) -> Result<Seal, Error> {
    let (mut sum, mut after) = (Summing::default(), Position(0));
    loop {
        let page = row::page(inner, table.to_owned(), after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(sum.seal()) };
        after = last.position;
        for event in &page {
            sum.add(event);
        }
    }
}

pub(super) async fn seal(inner: &Inner, day: Day) -> Result<Seal, Error> {
    let what = "seal a day of";
    let mut client = inner.client().await?;
    let transaction = schema::hurried(inner, &mut client, what).await?;
    if let Tier::Warm(seal) | Tier::Cold(seal) = one(inner, &transaction, day).await?.tier {
        return Ok(seal);
    }
    // Whoever has appended to it has ended when it is locked; nobody does so afterwards.
    schema::close(&transaction, day).await.map_err(failed(what, &inner.place))?;
    let sql = "UPDATE cronx_journal.journal SET sealed_ns = greatest(sealed_ns, $1)";
    let sealed = transaction.execute(sql, &[&day.ends().0]).await;
    sealed.map_err(failed(what, &inner.place))?;
    transaction.commit().await.map_err(failed(what, &inner.place))?;
    let seal = sum(inner, &schema::table(day)).await?;
    let now = inner.now(&client).await?;
    let transaction = client.transaction().await.map_err(failed(what, &inner.place))?;
    let stood = stand(&transaction, day, (WARM, &seal), now, false).await;
    stood.map_err(failed(what, &inner.place))?;
    transaction.commit().await.map_err(failed(what, &inner.place))?;
    Ok(seal)
}

async fn stand(
    transaction: &Transaction<'_>,
    day: Day,
    (tier, seal): (i16, &Seal),
    since: Utc,
    is_restored: bool,
) -> Result<(), tokio_postgres::Error> {
    let sql = "UPDATE cronx_journal.days SET tier = $2, since_ns = $3, restored = $4,
            count = $5, first = $6, last = $7, digest = $8 WHERE day = $1";
    let (count, digest) = (seal.count as i64, &seal.digest[..]);
    let (first, last) = (&seal.first.0, &seal.last.0);
    let values: [&(dyn ToSql + Sync); 8] =
        [&day.0, &tier, &since.0, &is_restored, &count, first, last, &digest];
    transaction.execute(sql, &values).await.map(|_| ())
}

pub(super) async fn drop_day(inner: &Inner, day: Day, stragglers: bool) -> Result<Dropped, Error> {
    let what = "drop a day of";
    let mut client = inner.client().await?;
    let now = inner.now(&client).await?;
    let transaction = schema::hurried(inner, &mut client, what).await?;
    let seal = match one(inner, &transaction, day).await?.tier {
        Tier::Warm(seal) => seal,
        Tier::Cold(_) => return Ok(Dropped::Gone { stragglers: 0 }),
        Tier::Hot => return Err(refused(inner, day, "it is not sealed")),
    };
    let late = offsets::late(inner, &transaction, seal.last).await?;
    if !late.is_empty() && !stragglers {
        return Ok(Dropped::Held);
    }
    let gone = gone(&transaction, day, &seal, &late).await.map_err(failed(what, &inner.place))?;
    let Some(stragglers) = gone else {
        return Err(refused(inner, day, "its table is not what was sealed"));
    };
    let stood = stand(&transaction, day, (COLD, &seal), now, false).await;
    stood.map_err(failed(what, &inner.place))?;
    transaction.commit().await.map_err(failed(what, &inner.place))?;
    Ok(Dropped::Gone { stragglers })
}

/// How many stragglers there were; nothing if the table has not what it should.
async fn gone(
    transaction: &Transaction<'_>,
    day: Day,
    seal: &Seal,
    late: &[(Consumer, Position)],
) -> Result<Option<u64>, tokio_postgres::Error> {
    let table = schema::table(day);
    let sql = format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE");
    transaction.batch_execute(&sql).await?;
    let count = transaction.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
    if count.get::<_, i64>(0) as u64 != seal.count {
        return Ok(None);
    }
    let mut stragglers = 0;
    for (consumer, offset) in late {
        let sql = format!(
            "INSERT INTO cronx_journal.dead SELECT $1, {}, 'not had when its day was dropped'
             FROM {table} WHERE position > $2 ON CONFLICT DO NOTHING",
            row::COLUMNS
        );
        stragglers += transaction.execute(&sql, &[&consumer.as_str(), &offset.0]).await?;
    }
    let sql =
        format!("ALTER TABLE cronx_journal.events DETACH PARTITION {table}; DROP TABLE {table}");
    transaction.batch_execute(&sql).await?;
    Ok(Some(stragglers))
}

pub(super) async fn begin_restore(inner: &Inner, day: Day) -> Result<(), Error> {
    let what = "restore a day of";
    let mut client = inner.client().await?;
    let transaction = client.transaction().await.map_err(failed(what, &inner.place))?;
    cold(inner, &transaction, day).await?;
    let table = schema::table(day) + RESTORING;
    let dropped = transaction.batch_execute(&format!("DROP TABLE IF EXISTS {table}")).await;
    dropped.map_err(failed(what, &inner.place))?;
    schema::make_table(&transaction, &table).await.map_err(failed(what, &inner.place))?;
    transaction.commit().await.map_err(failed(what, &inner.place))
}

async fn cold(inner: &Inner, transaction: &Transaction<'_>, day: Day) -> Result<Seal, Error> {
    match one(inner, transaction, day).await?.tier {
        Tier::Cold(seal) => Ok(seal),
        _ => Err(refused(inner, day, "it is not cold")),
    }
}

pub(super) async fn restore(inner: &Inner, day: Day, events: Vec<Event>) -> Result<(), Error> {
    let what = "restore a day of";
    let mut client = inner.client().await?;
    let transaction = client.transaction().await.map_err(failed(what, &inner.place))?;
    let sql = format!(
        "INSERT INTO {}{RESTORING} VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        schema::table(day)
    );
    let statement = transaction.prepare(&sql).await.map_err(failed(what, &inner.place))?;
    for event in &events {
        let (id, trace) = (event.id.0.to_be_bytes(), event.trace.map(|t| t.0.to_be_bytes()));
        let (id, trace) = (&id[..], trace.as_ref().map(|trace| &trace[..]));
        let (version, payload) = (event.version as i64, event.payload.as_str());
        let (position, at) = (&event.position.0, &event.at.0);
        let (aggregate, who, subject) = (&event.aggregate, &event.who, &event.what);
        let values: [&(dyn ToSql + Sync); 9] =
            [position, &id, aggregate, &version, who, subject, &trace, at, &payload];
        let put = transaction.execute(&statement, &values).await;
        put.map_err(failed(what, &inner.place))?;
    }
    transaction.commit().await.map_err(failed(what, &inner.place))
}

pub(super) async fn end_restore(inner: &Inner, day: Day) -> Result<(), Error> {
    let what = "restore a day of";
    let table = schema::table(day);
    let sum = sum(inner, &(table.clone() + RESTORING)).await?;
    let mut client = inner.client().await?;
    let now = inner.now(&client).await?;
    let transaction = schema::hurried(inner, &mut client, what).await?;
    let seal = cold(inner, &transaction, day).await?;
    if sum != seal {
        return Err(refused(inner, day, "what was restored is not what was sealed"));
    }
    let name = table.trim_start_matches("cronx_journal.");
    let sql = format!("ALTER TABLE {table}{RESTORING} RENAME TO {name}");
    transaction.batch_execute(&sql).await.map_err(failed(what, &inner.place))?;
    schema::attach(&transaction, day, false).await.map_err(failed(what, &inner.place))?;
    schema::close(&transaction, day).await.map_err(failed(what, &inner.place))?;
    let stood = stand(&transaction, day, (WARM, &seal), now, true).await;
    stood.map_err(failed(what, &inner.place))?;
    transaction.commit().await.map_err(failed(what, &inner.place))
}
