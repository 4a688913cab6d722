use super::*;

fn name(layer: u8, vector: u32) -> String {
    let lines = BTreeMap::from([(24, Untrusted::from("eth0"))]);
    interrupt_name(layer, vector, &lines).map_or("none".to_owned(), |name| name.raw().to_owned())
}

#[test]
fn interrupts_have_names() {
    let names = [
        name(layer::IRQ, 24),
        name(layer::IRQ, 25),
        name(layer::VECTOR, 236),
        name(layer::VECTOR, 246),
        name(layer::VECTOR, 247),
        name(layer::VECTOR, 250),
        name(layer::VECTOR, 251),
        name(layer::VECTOR, 252),
        name(layer::VECTOR, 253),
        name(layer::VECTOR, 1),
        name(layer::SOFTIRQ, 0),
        name(layer::SOFTIRQ, 3),
        name(layer::SOFTIRQ, 9),
        name(layer::SOFTIRQ, 10),
        name(0, 1),
        name(4, 1),
    ];
    expect_test::expect!["eth0 | irq 25 | local_timer | irq_work | x86_platform_ipi | thermal_apic | call_function_single | call_function | reschedule | vector 1 | HI | NET_RX | RCU | softirq 10 | none | none"].assert_eq(&names.join(" | "));
}
