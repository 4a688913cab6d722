use super::*;
use crate::{Frame, LoadEnd, Target, Untrusted};

fn sample() -> Capture {
    let mut records = CpuRecords { cpu: 1, bytes: Vec::new() };
    records.push(b"first");
    records.push(b"second record");
    let mut spans = CpuRecords::default();
    spans.push(b"a span");
    Capture {
        header: CaptureHeader {
            abi_version: cronx_abi::ABI_VERSION,
            kernel: Untrusted::from("6.18.44"),
            target: Target::Command { argv: vec![Untrusted::from("./load.sh")] },
            ..CaptureHeader::default()
        },
        records: vec![records],
        spans,
        symbols: Symbols {
            kernel: BTreeMap::from([(0xffff_ffff_8100_0000, Frame::default())]),
            user: BTreeMap::from([(12, BTreeMap::from([(0x40_1000, Frame::default())]))]),
            untrusted_files: 1,
        },
        trailer: Some(Trailer {
            stopped_ns: 9,
            load: Some(LoadEnd::Exited(3)),
            ..Trailer::default()
        }),
        torn: None,
    }
}

fn bytes() -> Vec<u8> {
    sample().write(Vec::new()).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let capture = Capture::read(bytes().as_slice()).unwrap();
    assert_eq!(capture, sample());
    let records: Vec<_> = capture.records[0].iter().collect();
    assert_eq!(records, [b"first".as_slice(), b"second record"]);
}

#[test]
fn cut_anywhere_it_is_read_up_to_the_last_whole_block_or_refused() {
    let whole = bytes();
    for len in 0..whole.len() {
        match Capture::read(&whole[..len]) {
            Ok(capture) => {
                assert!(capture.torn.is_some() && capture.trailer.is_none(), "cut at {len}");
                assert_eq!(capture.header, sample().header);
            }
            Err(Error::Empty | Error::Foreign { .. } | Error::Torn { .. }) => {}
            Err(other) => panic!("cut at {len}: {other}"),
        }
    }
}

#[test]
fn a_flipped_bit_is_never_believed() {
    let whole = bytes();
    for at in 12..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        if let Ok(capture) = Capture::read(flipped.as_slice()) {
            assert!(capture.torn.is_some() && capture.trailer.is_none(), "flip at {at}");
            assert_eq!(capture.header, sample().header);
        }
    }
}

#[test]
fn foreign_empty_and_newer_are_named() {
    let say = |bytes: &[u8]| Capture::read(bytes).unwrap_err().to_string();
    assert_eq!(say(b""), "the file is empty");
    assert_eq!(say(b"\x7fELF"), "not a cronx capture (it begins with other bytes)");
    assert_eq!(say(b"PERFILE2 and more"), "not a cronx capture (it begins with other bytes)");
    let mut newer = bytes();
    newer[8] = 9;
    assert_eq!(say(&newer), "written by a newer cronx (version 9; this one reads up to 2)");
}

#[test]
fn a_long_run_of_records_is_cut_between_records() {
    let mut records = CpuRecords { cpu: 0, bytes: Vec::new() };
    for _ in 0..10 {
        records.push(&[7; 96]);
    }
    assert_eq!(whole_records(&records.bytes, 250), 200);
    assert_eq!(whole_records(&records.bytes, 10), 1000);
}
