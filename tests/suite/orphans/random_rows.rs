//! Random rows for the search for orphans: some of what they refer to does not exist.

use evodoctor::database::ident::SqlFragment;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sqlx::PgConnection;

use crate::support::database::execute;

/// Ids that sort differently by collation, and that have to be quoted.
fn ids(random: &mut SmallRng, number: usize) -> Vec<String> {
    let odd = [
        "",
        "a",
        "A",
        "á",
        "Z",
        "it's",
        "back\\slash",
        "\"q\"",
        "a-b",
        "a b",
        "ab",
        "日本",
        "%",
        "{1,2}",
        "NULL",
    ];
    let mut ids: Vec<String> = odd.iter().map(|&id| id.to_owned()).collect();
    ids.extend((0..number).map(|_| match random.random_range(0..3) {
        0 => format!("cm{:08x}", random.random::<u32>()),
        1 => format!("Cm-{:06X}", random.random_range(0..0x00ff_ffff)),
        _ => format!("{:08x}-{:04x}", random.random::<u32>(), random.random::<u16>()),
    }));
    ids.sort();
    ids.dedup();
    ids
}

fn values<'a>(rows: impl Iterator<Item = Vec<Option<&'a str>>>) -> String {
    let one = |value: Option<&str>| {
        value.map_or("NULL".to_owned(), |value| SqlFragment::literal(value).to_string())
    };
    let rows = rows.map(|row| format!("({})", row.into_iter().map(one).collect::<Vec<_>>().join(", ")));
    rows.collect::<Vec<_>>().join(", ")
}

/// Instances, sessions, messages, updates and media; some of what they refer to is not there.
pub async fn fill(connection: &mut PgConnection, seed: u64) {
    let random = &mut SmallRng::seed_from_u64(seed);
    let instances = ids(random, 20);
    let sessions = ids(random, 700);
    let messages = ids(random, 1500);
    let some = |random: &mut SmallRng, of: &[String], share: f64| -> Vec<String> {
        of.iter().filter(|_| random.random_bool(share)).cloned().collect()
    };
    let there = [some(random, &instances, 0.8), some(random, &sessions, 0.9), some(random, &messages, 0.95)];
    let pick = |random: &mut SmallRng, of: &[String]| of.choose(random).expect("not empty").clone();
    let mut sql = "SET session_replication_role = replica;\n".to_owned();
    let rows = values(there[0].iter().map(|id| vec![Some(id.as_str()), Some(id)]));
    sql += &format!("INSERT INTO public.\"Instance\" (\"id\", \"name\") VALUES {rows};\n");
    let owned: Vec<[String; 2]> = there[1].iter().map(|id| [id.clone(), pick(random, &instances)]).collect();
    let rows = values(owned.iter().map(|[id, instance]| vec![Some(id.as_str()), Some(instance)]));
    sql += &format!(
        "INSERT INTO public.\"IntegrationSession\" (\"id\", \"instanceId\", \"sessionId\", \"remoteJid\", \"status\", \"updatedAt\")
         SELECT id, instance, 's', 'j', 'closed', now() FROM (VALUES {rows}) AS one (id, instance);\n"
    );
    let statuses = ["READ", "3", "-1", "9x", "", "PENDING"].map(str::to_owned);
    let owned: Vec<[Option<String>; 5]> = there[2]
        .iter()
        .map(|id| {
            let session = random.random_bool(0.3).then(|| pick(random, &sessions));
            let status = random.random_bool(0.9).then(|| pick(random, &statuses));
            // Some have no key id.
            let key = random.random_bool(0.98).then(|| format!("key of {id}"));
            [Some(id.clone()), Some(pick(random, &instances)), session, status, key]
        })
        .collect();
    let rows = values(owned.iter().map(|row| row.iter().map(Option::as_deref).collect()));
    sql += &format!(
        "INSERT INTO public.\"Message\" (\"id\", \"instanceId\", \"sessionId\", \"status\", \"key\", \"messageType\", \"message\", \"source\", \"messageTimestamp\")
         SELECT id, instance, session, status, jsonb_build_object('id', key), 't', '{{}}', 'web', 1 FROM (VALUES {rows}) AS one (id, instance, session, status, key);\n"
    );
    let owned: Vec<[String; 4]> = (0..3000)
        .map(|number| {
            let message = owned.choose(random).expect("messages");
            let [Some(id), Some(instance), _, _, key] = message else { unreachable!("both are set") };
            let (id, key) = match random.random_range(0..50) {
                0 => (pick(random, &messages), "key of nothing".to_owned()),
                _ => (id.clone(), key.clone().unwrap_or_default()),
            };
            let instance = if random.random_bool(0.02) { pick(random, &instances) } else { instance.clone() };
            [format!("u{number}"), id, instance, key]
        })
        .collect();
    let rows = values(owned.iter().map(|row| row.iter().map(|value| Some(value.as_str())).collect()));
    sql += &format!(
        "INSERT INTO public.\"MessageUpdate\" (\"id\", \"messageId\", \"instanceId\", \"keyId\", \"remoteJid\", \"fromMe\", \"status\")
         SELECT id, message, instance, key, 'j', true, 'READ' FROM (VALUES {rows}) AS one (id, message, instance, key);\n"
    );
    // Contacts without their unique index: some twice, some without what tells them apart.
    let owned: Vec<[Option<String>; 3]> = (0..2000)
        .map(|number| {
            let jid = random.random_bool(0.95).then(|| pick(random, &messages));
            [Some(format!("k{number}")), jid, Some(pick(random, &instances))]
        })
        .collect();
    let rows = values(owned.iter().map(|row| row.iter().map(Option::as_deref).collect()));
    sql += &format!(
        "DROP INDEX public.\"Contact_remoteJid_instanceId_key\";
         ALTER TABLE public.\"Contact\" ALTER \"remoteJid\" DROP NOT NULL;
         INSERT INTO public.\"Contact\" (\"id\", \"remoteJid\", \"instanceId\") VALUES {rows};
         RESET session_replication_role"
    );
    execute(connection, &sql).await;
}
