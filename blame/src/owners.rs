//! What a tile can be owed to, as small numbers: tasks under a name, interrupts, and the classes
//! that have no culprit.

use std::collections::{BTreeMap, HashMap};

use cronx_abi::{TaskKey, layer};
use cronx_recording::{Class, Culprit, Untrusted};

use crate::names::{Name, Named, Strings};

/// Number of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Owner(u32);

impl Owner {
    pub(crate) const UNKNOWN: Self = Self(0);
    pub(crate) const IDLE: Self = Self(1);
    pub(crate) const PLACEMENT: Self = Self(2);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an owner is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) class: Class,
    /// All 0 if it is no task.
    pub(crate) task: TaskKey,
    pub(crate) name: Name,
    pub(crate) process: Name,
}

/// Every owner once: a task that changed its name is another owner, a tid used again is too.
#[derive(Debug)]
pub(crate) struct Owners {
    entries: Vec<Entry>,
    tasks: HashMap<(TaskKey, Name), Owner>,
    interrupts: HashMap<(u8, u32), Owner>,
    irq_names: BTreeMap<u32, Untrusted>,
}

impl Owners {
    /// Knows the classes without culprits; `irq_names` are the device lines.
    pub(crate) fn new(irq_names: &BTreeMap<u32, Untrusted>) -> Self {
        let plain = |class| Entry {
            class,
            task: TaskKey::default(),
            name: Name::EMPTY,
            process: Name::EMPTY,
        };
        Self {
            entries: [Class::Unknown, Class::Idle, Class::Placement].map(plain).to_vec(),
            tasks: HashMap::new(),
            interrupts: HashMap::new(),
            irq_names: irq_names.clone(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, owner: Owner) -> Entry {
        self.entries[owner.index()]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Owner, &Entry)> {
        (0..).map(Owner).zip(&self.entries)
    }

    /// The idle task is a class of its own; which one it is, the CPU says.
    pub(crate) fn task(&mut self, task: TaskKey, named: Named) -> Owner {
        if task.tid == 0 {
            return Owner::IDLE;
        }
        let entries = &mut self.entries;
        *self.tasks.entry((task, named.thread)).or_insert_with(|| {
            let (name, process) = (named.thread, named.process);
            push(entries, Entry { class: Class::Task, task, name, process })
        })
    }

    /// `None` for a layer that nobody knows.
    pub(crate) fn interrupt(
        &mut self,
        layer: u8,
        vector: u32,
        strings: &mut Strings,
    ) -> Option<Owner> {
        let class = if layer == layer::SOFTIRQ { Class::Softirq } else { Class::Irq };
        if let Some(&owner) = self.interrupts.get(&(layer, vector)) {
            return Some(owner);
        }
        let name = strings.intern(interrupt_name(layer, vector, &self.irq_names)?);
        let entry = Entry { class, task: TaskKey::default(), name, process: Name::EMPTY };
        let owner = push(&mut self.entries, entry);
        self.interrupts.insert((layer, vector), owner);
        Some(owner)
    }

    pub(crate) fn culprit(&self, owner: Owner, strings: &Strings) -> Culprit {
        let entry = self.entry(owner);
        Culprit {
            name: strings.text(entry.name),
            process: strings.text(entry.process),
            tid: entry.task.tid,
            tgid: entry.task.tgid,
        }
    }
}

fn push(entries: &mut Vec<Entry>, entry: Entry) -> Owner {
    entries.push(entry);
    Owner(entries.len() as u32 - 1)
}

/// The name of an interrupt; `None` for a layer that nobody knows.
pub(crate) fn interrupt_name(
    layer: u8,
    vector: u32,
    irq_names: &BTreeMap<u32, Untrusted>,
) -> Option<Untrusted> {
    Some(match layer {
        layer::IRQ => {
            irq_names.get(&vector).cloned().unwrap_or_else(|| format!("irq {vector}").into())
        }
        layer::VECTOR => {
            x86_vector(vector).map_or_else(|| format!("vector {vector}").into(), Into::into)
        }
        layer::SOFTIRQ => SOFTIRQS
            .get(vector as usize)
            .map_or_else(|| format!("softirq {vector}").into(), |&name| name.into()),
        _ => return None,
    })
}

/// `enum` in the kernel's `include/linux/interrupt.h`, in its order.
const SOFTIRQS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

/// The kernel's `arch/x86/include/asm/irq_vectors.h`; no other machine has such tracepoints.
fn x86_vector(vector: u32) -> Option<&'static str> {
    Some(match vector {
        0xff => "spurious_apic",
        0xfe => "error_apic",
        0xfd => "reschedule",
        0xfc => "call_function",
        0xfb => "call_function_single",
        0xfa => "thermal_apic",
        0xf9 => "threshold_apic",
        0xf8 => "reboot",
        0xf7 => "x86_platform_ipi",
        0xf6 => "irq_work",
        0xf4 => "deferred_error",
        0xf3 => "hypervisor_callback",
        0xf2 => "posted_interrupt",
        0xf1 => "posted_interrupt_wakeup",
        0xf0 => "posted_interrupt_nested",
        0xee => "hyperv_reenlightenment",
        0xed => "hyperv_stimer0",
        0xec => "local_timer",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
