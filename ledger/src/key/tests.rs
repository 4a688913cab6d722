use proptest::prelude::*;

use super::*;

fn job(tenant: &str, name: &str) -> JobId {
    JobId::new(tenant, name).unwrap()
}

fn trigger(id: u64) -> NonZeroU64 {
    NonZeroU64::new(id).unwrap()
}

#[test]
fn a_key_says_which_firing() {
    let utc = Utc(1_764_338_400_000_000_000);
    let key = Key::firing(&job("shop", "bill"), utc, 0);
    assert_eq!(key.as_str(), "shop/bill/2025-11-28T14:00:00.000000000Z/0");
    let key = Key::trigger(
        &job("shop", "bill"),
        utc + std::time::Duration::from_nanos(5),
        trigger(255),
        7,
    );
    assert_eq!(key.as_str(), "shop/bill/2025-11-28T14:00:00.000000005Z+ff/7");
}

#[test]
fn a_name_is_no_structure() {
    let utc = Utc(0);
    let one = Key::firing(&job("a/b", "c"), utc, 0);
    let other = Key::firing(&job("a", "b/c"), utc, 0);
    assert_eq!(one.as_str(), "a%2Fb/c/1970-01-01T00:00:00.000000000Z/0");
    assert_ne!(one, other);
    assert_ne!(Key::call("t", "%2F").unwrap(), Key::call("t", "/").unwrap());
    assert_eq!(Key::call("t", "rechnung nr ü").unwrap().as_str(), "t/~call/rechnung%20nr%20%C3%BC");
    // Nobody's job is a call or a lease.
    assert_eq!(job("t", "~call").to_string(), "t/%7Ecall");
    assert_ne!(Key::call("t", "x").unwrap(), Key::lease("t", "x").unwrap());
}

#[test]
fn an_action_and_its_compensation_are_two() {
    let saga = SagaId::new("shop", "order/7").unwrap();
    let key = |undoes| Key::step(&saga, "charge", undoes).unwrap();
    assert_eq!(key(false).as_str(), "shop/~saga/order%2F7/charge/do");
    assert_eq!(key(true).as_str(), "shop/~saga/order%2F7/charge/undo");
    assert_eq!(saga.to_string().parse::<SagaId>().unwrap(), saga);
    for text in ["shop/~saga", "shop/~saga/", "shop/saga/x", "shop/~saga/a/b", "shop/~saga/%6F"] {
        assert!(text.parse::<SagaId>().is_err(), "{text}");
    }
}

#[test]
fn names_have_bounds() {
    for (tenant, name) in [("", "x"), ("t", ""), (&*"t".repeat(65), "x"), ("t", &*"x".repeat(256))]
    {
        assert!(JobId::new(tenant, name).is_err(), "{tenant:?} {name:?}");
    }
    assert!(Key::call("t", &"x".repeat(NAME_MOST + 1)).is_err());
    let longest = Key::call(&"/".repeat(TENANT_MOST), &"/".repeat(NAME_MOST)).unwrap();
    assert!(longest.as_str().len() <= KEY_MOST, "{}", longest.as_str().len());
    let longest = SagaId::new(&"/".repeat(TENANT_MOST), &"/".repeat(SAGA_MOST)).unwrap();
    let longest = Key::step(&longest, &"/".repeat(STEP_MOST), true).unwrap();
    assert!(longest.as_str().len() <= KEY_MOST, "{}", longest.as_str().len());
    let longest = job(&"/".repeat(TENANT_MOST), &"/".repeat(JOB_MOST));
    let longest = Key::trigger(&longest, Utc::MAX, trigger(u64::MAX), u32::MAX);
    assert!(longest.as_str().len() <= KEY_MOST, "{}", longest.as_str().len());
}

#[test]
fn what_is_no_key_is_refused() {
    let texts = [
        "",
        "a",
        "a/b",
        "a/b/c",
        "a/b/c/d",
        "a/b/2025-11-28T14:00:00Z/0",
        "a/b/2025-11-28T14:00:00.000000000Z/00",
        "a/b/2025-11-28T14:00:00.000000000Z/-1",
        "a/b/2025-11-28T14:00:00.000000000Z+0/0",
        "a/b/2025-11-28T14:00:00.000000000Z+FF/0",
        "a/b/9999-11-28T14:00:00.000000000Z/0",
        "a/b/2025-11-28T14:00:00.000000000Z/0/1",
        "/b/2025-11-28T14:00:00.000000000Z/0",
        "a/~call/",
        "a/~call/ ",
        "a/~call/%2f",
        "a/~call/%41",
        "a/~call/%C3",
        "a/~call/%",
        "a/~call/%4",
        "a/~call/%zz",
        "a/~other/x",
        "a/~saga/x",
        "a/~saga/x/y",
        "a/~saga/x/y/redo",
        "a/~saga//y/do",
        "a/~saga/x//undo",
        "a/b c/2025-11-28T14:00:00.000000000Z/0",
    ];
    for text in texts {
        assert!(text.parse::<Key>().is_err(), "{text:?}");
    }
}

#[test]
fn fields_are_a_key_in_any_order() {
    let fields: [(&str, &[u8]); 2] = [("order", b"7"), ("uid", b"me")];
    let turned: [(&str, &[u8]); 2] = [("uid", b"me"), ("order", b"7")];
    let moved: [(&str, &[u8]); 2] = [("order", b"7u"), ("id", b"me")];
    let key = |fields| Key::of_fields("t", fields).unwrap();
    assert_eq!(key(&fields), key(&turned));
    assert_ne!(key(&fields), key(&moved));
    assert_eq!(key(&fields).as_str().len(), "t/~call/".len() + 64);
}

fn any_named() -> impl Strategy<Value = Named> {
    let name = || ".{1,40}";
    let firing = (name(), name(), any::<i64>(), any::<u64>(), any::<u32>());
    prop_oneof![
        firing.prop_map(|(tenant, name, utc, trigger, partition)| Named::Firing {
            job: job(short(&tenant), &name),
            nominal: Utc(utc),
            trigger: NonZeroU64::new(trigger % 1000),
            partition,
        }),
        (name(), name())
            .prop_map(|(tenant, name)| Named::Call { tenant: short(&tenant).into(), name }),
        (name(), name())
            .prop_map(|(tenant, name)| Named::Lease { tenant: short(&tenant).into(), name }),
        (name(), name(), ".{1,16}", any::<bool>()).prop_map(|(tenant, saga, step, undoes)| {
            let saga = SagaId::new(short(&tenant), &saga).unwrap();
            Named::Step { saga, step, undoes }
        }),
    ]
}

/// As much of it as a tenant may be called.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(TENANT_MOST)]
}

proptest! {
    #[test]
    fn a_key_is_read_as_it_was_made(named in any_named()) {
        let key = rewritten(&named).unwrap();
        prop_assert!(key.as_str().is_ascii());
        prop_assert!(key.as_str().len() <= KEY_MOST);
        prop_assert_eq!(key.as_str().parse::<Key>().unwrap(), key.clone());
        prop_assert_eq!(key.named(), named);
    }

    #[test]
    fn a_job_is_read_as_it_was_written(tenant in ".{1,16}", name in ".{1,60}") {
        let id = job(&tenant, &name);
        prop_assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
    }

    #[test]
    fn two_are_never_one(one in any_named(), other in any_named()) {
        prop_assert_eq!(one == other, rewritten(&one) == rewritten(&other));
    }

    #[test]
    fn keys_of_a_job_sort_by_time(one: i64, other: i64) {
        let job = job("t", "j");
        let [first, second] = [one, other].map(|utc| Key::firing(&job, Utc(utc), 0));
        prop_assert_eq!(one.cmp(&other), first.as_str().cmp(second.as_str()));
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,80}") {
        let _ = text.parse::<Key>();
        let _ = text.parse::<JobId>();
    }
}
