use cronx_abi::{KERNEL_FRAMES, USER_FRAMES};

use super::*;

fn header(kind: u8) -> Header {
    Header { at_ns: 7, seq: 1, kind, ..Header::default() }
}

fn sample(kernel_bytes: i32, user_bytes: i32) -> SampleRecord {
    SampleRecord {
        header: header(kind::SAMPLE),
        task: TaskKey { start_ns: 1, tid: 2, tgid: 3 },
        kernel_bytes,
        user_bytes,
        kernel: [4; KERNEL_FRAMES],
        user: [5; USER_FRAMES],
    }
}

#[test]
fn every_kind_is_read_as_itself() {
    let slice = SliceRecord { header: header(kind::SLICE), ..SliceRecord::default() };
    assert_eq!(decode(slice.as_bytes()), Ok(Event::Slice(slice)));
    let unopened = UnopenedRecord { header: header(kind::UNOPENED), ..UnopenedRecord::default() };
    assert_eq!(decode(unopened.as_bytes()), Ok(Event::Unopened(unopened)));
    let open = OpenWaitRecord { header: header(kind::UNSEEN_CLOSE), ..OpenWaitRecord::default() };
    assert_eq!(decode(open.as_bytes()), Ok(Event::UnseenClose(open)));
}

#[test]
fn a_byte_too_few() {
    for kind in 1..=10 {
        let length = length(kind).unwrap();
        let mut bytes = vec![0; length];
        bytes[16] = kind;
        assert!(decode(&bytes).is_ok(), "kind {kind}");
        assert_eq!(decode(&bytes[..length - 1]), Err("short_record"), "kind {kind}");
    }
    assert_eq!(decode(&[]), Err("short_record"));
    assert_eq!(decode(header(0).as_bytes()), Err("unknown_kind"));
    assert_eq!(decode(header(11).as_bytes()), Err("unknown_kind"));
}

#[test]
fn frames_are_what_was_filled() {
    let filled = |kernel_bytes, user_bytes| {
        let record = sample(kernel_bytes, user_bytes);
        let Ok(Event::Sample(sample)) = decode(record.as_bytes()) else { panic!("no sample") };
        assert_eq!((sample.at_ns, sample.task), (7, record.task));
        assert!(sample.kernel.chunks(8).all(|a| a == 4_u64.to_ne_bytes()));
        assert!(sample.user.chunks(8).all(|a| a == 5_u64.to_ne_bytes()));
        (sample.kernel.len() / 8, sample.user.len() / 8)
    };
    assert_eq!(filled(16, 24), (2, 3));
    assert_eq!(filled(0, -14), (0, 0));
    assert_eq!(filled(i32::MAX, 23), (KERNEL_FRAMES, 2));
    assert_eq!(filled(i32::MIN, i32::MAX), (0, USER_FRAMES));
}
