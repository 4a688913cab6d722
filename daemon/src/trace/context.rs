//! W3C Trace Context: `00-TRACE-SPAN-FLAGS`, in hexadecimal digits.

use cronx_scheduler::TraceId;
use cronx_scheduler::breaker::Share;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};

/// The text for a child of this span.
pub(super) fn text(trace: TraceId, span: u64, sampled: bool) -> String {
    format!("00-{trace}-{span:016x}-{:02x}", u8::from(sampled))
}

/// What a text says; `None` if it is none. Of a newer version, what this one knows of it.
pub(super) fn parse(text: &str) -> Option<SpanContext> {
    let mut fields = text.trim().split('-');
    let version = hex(fields.next()?, 2)?;
    let trace = hex(fields.next()?, 32)?;
    let span = hex(fields.next()?, 16)? as u64;
    let flags = hex(fields.next()?, 2)? as u8;
    let is_whole = version < 0xff && (version > 0 || fields.next().is_none());
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let context =
        SpanContext::new(trace.into(), SpanId::from(span), flags, true, TraceState::default());
    (is_whole && context.is_valid()).then_some(context)
}

fn hex(field: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = field.len() == digits && field.bytes().all(lower);
    fits.then(|| u128::from_str_radix(field, 16).ok())?
}

/// By the lower half of the trace, as OpenTelemetry's sampler by ratio does.
pub(super) fn is_sampled(sample: Share, trace: TraceId) -> bool {
    let most = (u128::from(sample.millionths()) << 63) / 1_000_000;
    u128::from(trace.0 as u64 >> 1) < most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_what_it_was_made_of() {
        let text = text(TraceId(0xabc), 0x12, true);
        assert_eq!(text, "00-00000000000000000000000000000abc-0000000000000012-01");
        let context = parse(&text).unwrap();
        assert_eq!(context.trace_id().to_string(), "00000000000000000000000000000abc");
        assert!(context.is_sampled() && context.is_remote());
        assert!(parse(&text.replace("-01", "-00")).is_some_and(|context| !context.is_sampled()));
    }

    #[test]
    fn what_is_none_is_none() {
        let good = "00-00000000000000000000000000000abc-0000000000000012-01";
        let newer = good.replacen("00", "7f", 1) + "-more";
        assert!(parse(&newer).is_some());
        let bad = ["", "00", &good[1..], &good.to_uppercase(), &(good.to_owned() + "-more")];
        assert!(bad.iter().all(|text| parse(text).is_none()));
        assert!(parse(&good.replacen("00", "ff", 1)).is_none());
        assert!(parse(&good.replace("abc", "000")).is_none());
        assert!(parse(&good.replace("12", "00")).is_none());
        assert!(parse(&good.replace("12-", "é-")).is_none());
    }

    #[test]
    fn as_many_are_sampled_as_asked_for() {
        let of = |sample| {
            let traces =
                (0..10_000_u64).map(|n| TraceId(n.wrapping_mul(0x9e37_79b9_7f4a_7c15).into()));
            traces.filter(|trace| is_sampled(sample, *trace)).count()
        };
        assert_eq!((of(Share::NONE), of(Share::ALL)), (0, 10_000));
        assert!((900..1100).contains(&of(Share::percent(10))));
    }
}
