use cronx_blame::TiledPiece;

use super::*;

fn key(start_ns: u64, tid: u32) -> TaskKey {
    TaskKey { start_ns, tid, tgid: tid }
}

fn thread(tid: u32, ran: &[(u64, u64, u16)]) -> Thread {
    let ran = ran.iter().map(|&(from_ns, to_ns, cpu)| Ran { from_ns, to_ns, cpu }).collect();
    Thread { tid, ran, ..Thread::default() }
}

fn wait(open_ns: u64, close_ns: u64, tiles: &[(u64, u64, Class, Who)]) -> TiledWait {
    let tile = |&(from_ns, to_ns, class, who): &(u64, u64, Class, Who)| TiledPiece {
        from_ns,
        to_ns,
        class,
        who,
        cpu: Some(1),
    };
    TiledWait {
        victim: key(1, 99),
        open_ns,
        close_ns,
        censored: false,
        tiles: tiles.iter().map(tile).collect(),
    }
}

#[test]
fn truth_is_what_ran_on_the_queue_and_the_rest() {
    let threads = [thread(7, &[(0, 150, 1), (160, 400, 1)]), thread(8, &[(100, 300, 0)])];
    let cast = Cast::new(&threads, &[key(0, 7), key(0, 8)], None);
    let wait = wait(100, 300, &[]);
    let real = cast.real(&pinned(&wait, 1));
    assert_eq!(real.shares, [190, 0, 0, 10, 0]);
    assert_eq!(real.ran, [true, false]);
}

#[test]
fn a_margin_forgives_what_a_log_cannot_see() {
    let threads = [thread(7, &[(0, 100_000, 1)]), thread(8, &[(0, 10_000, 1)])];
    let cast = Cast::new(&threads, &[], None);
    let wait = wait(149_000, 300_000, &[]);
    assert_eq!(cast.real(&pinned(&wait, 1)).ran, [true, false]);
}

#[test]
fn blame_goes_to_the_places_of_truth() {
    let cast = Cast::new(&[thread(7, &[(10, 90, 1)])], &[key(5, 7)], Some(Class::Throttled));
    let tiles = [
        (0, 10, Class::Throttled, Who::Nobody),
        (10, 90, Class::Foreign, Who::Task(key(5, 7))),
        (90, 95, Class::Unknown, Who::Task(key(5, 7))),
        (95, 100, Class::Foreign, Who::Task(key(6, 7))),
    ];
    let wait = wait(0, 100, &tiles);
    assert_eq!(cast.blamed(&wait, &pinned(&wait, 1)), [80, 10, 10, 0]);
}

#[test]
fn what_no_log_can_know_is_not_judged() {
    let held = vec![Ran { from_ns: 40, to_ns: 60, cpu: 1 }, Ran { from_ns: 90, to_ns: 95, cpu: 0 }];
    let hog = Thread { held, ..thread(7, &[(10, 40, 1), (60, 90, 1)]) };
    let cast = Cast::new(&[hog], &[key(5, 7)], None);
    let wait = wait(20, 100, &[(20, 100, Class::Foreign, Who::Task(key(5, 7)))]);
    assert_eq!(cast.known(pinned(&wait, 1), 20), pinned(&wait, 1));
    let known = cast.known(pinned(&wait, 1), 21);
    let stay = |from_ns, to_ns| Stay { from_ns, to_ns, cpu: 1 };
    assert_eq!(known, [stay(20, 40), stay(60, 100)]);
    assert_eq!(cast.real(&known).shares, [50, 0, 10, 0]);
    assert_eq!(cast.blamed(&wait, &known), [60, 0, 0, 0]);
}

#[test]
fn one_number_twice_is_two_actors_and_an_exec_is_none() {
    let threads =
        [thread(7, &[(10, 20, 1)]), thread(7, &[(110, 120, 1)]), thread(7, &[(130, 140, 1)])];
    let cast = Cast::new(&threads, &[key(5, 7), key(100, 7)], None);
    assert_eq!(cast.places(), 2 + 3);
    assert_eq!((cast.place_of(key(5, 7)), cast.place_of(key(100, 7))), (0, 1));
    let wait = wait(0, 200, &[]);
    assert_eq!(cast.real(&pinned(&wait, 1)).shares, [10, 20, 0, 170, 0]);
}

#[test]
fn who_is_moved_waits_where_it_is_put() {
    let place = |from_ns, to_ns, cpu| Placed { from_ns, to_ns, cpu };
    let places = [place(45, 50, 0), place(190, 200, 1), place(295, 300, 0), place(500, 99_500, 1)];
    let stays = placed(&wait(100, 400, &[]), &places);
    let stay = |from_ns, to_ns, cpu| Stay { from_ns, to_ns, cpu };
    assert_eq!(stays, [stay(100, 200, 0), stay(200, 300, 1), stay(300, 400, 0)]);
    assert!(is_certain(&wait(100, 400, &[]), &places));
    assert!(!is_certain(&wait(400, 600, &[]), &places), "a move that took long");
    assert!(!is_certain(&wait(20, 60, &[]), &places), "before the first one");
}
