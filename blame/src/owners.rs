//! What a tile can be owed to, as small numbers: tasks as they were at a time, interrupts, and the
//! classes that have no culprit.

use std::collections::BTreeMap;

use cronx_abi::{TaskKey, layer};
use cronx_recording::{Class, Culprit, Untrusted};
use rustc_hash::FxHashMap;

use crate::cgroups::Cgroups;
use crate::names::{Name, Named, Strings};

/// Number of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Owner(u32);

impl Owner {
    pub(crate) const UNKNOWN: Self = Self(0);
    pub(crate) const STEAL: Self = Self(1);
    pub(crate) const THROTTLED: Self = Self(2);
    pub(crate) const PLACEMENT: Self = Self(3);
    pub(crate) const IDLE_EXIT: Self = Self(4);
    pub(crate) const IDLE: Self = Self(5);

    /// The classes without culprits, in the order of the numbers above.
    const PLAIN: [Class; 6] = [
        Class::Unknown,
        Class::Steal,
        Class::Throttled,
        Class::Placement,
        Class::IdleExit,
        Class::Idle,
    ];

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an owner is. The class of a task depends on the victim too, so it is not here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Nobody: the class says it all.
    Plain(Class),
    /// A handler.
    Interrupt { layer: u8, vector: u32 },
    /// A task, as it was then.
    Task(Named),
}

/// An owner and its name; empty if it is nobody.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) name: Name,
}

impl Entry {
    pub(crate) fn task(&self) -> Option<TaskKey> {
        match &self.kind {
            Kind::Task(named) => Some(named.task),
            Kind::Plain(_) | Kind::Interrupt { .. } => None,
        }
    }
}

/// Every owner once: a task that changed its name, cgroup or priority is another owner, and so is
/// a tid used again.
#[derive(Debug)]
pub(crate) struct Owners<'a> {
    entries: Vec<Entry>,
    tasks: FxHashMap<Named, Owner>,
    interrupts: FxHashMap<(u8, u32), Owner>,
    irq_names: &'a BTreeMap<u32, Untrusted>,
}

impl<'a> Owners<'a> {
    /// Knows the classes without culprits; `irq_names` are the device lines.
    pub(crate) fn new(irq_names: &'a BTreeMap<u32, Untrusted>) -> Self {
        let plain = |class| Entry { kind: Kind::Plain(class), name: Name::EMPTY };
        Self {
            entries: Owner::PLAIN.map(plain).to_vec(),
            tasks: FxHashMap::default(),
            interrupts: FxHashMap::default(),
            irq_names,
        }
    }

    pub(crate) fn entry(&self, owner: Owner) -> &Entry {
        &self.entries[owner.index()]
    }

    /// The idle task is a class of its own; which one it is, the CPU says.
    pub(crate) fn task(&mut self, named: Named) -> Owner {
        if named.task.tid == 0 {
            return Owner::IDLE;
        }
        let entries = &mut self.entries;
        let named = Named { at_ns: 0, ..named };
        *self
            .tasks
            .entry(named)
            .or_insert_with(|| push(entries, Entry { kind: Kind::Task(named), name: named.thread }))
    }

    /// `None` for a layer that nobody knows.
    pub(crate) fn interrupt(
        &mut self,
        layer: u8,
        vector: u32,
        strings: &mut Strings,
    ) -> Option<Owner> {
        if let Some(&owner) = self.interrupts.get(&(layer, vector)) {
            return Some(owner);
        }
        let name = strings.intern(self.interrupt_name(layer, vector)?);
        let entry = Entry { kind: Kind::Interrupt { layer, vector }, name };
        let owner = push(&mut self.entries, entry);
        self.interrupts.insert((layer, vector), owner);
        Some(owner)
    }

    /// The name of an interrupt; `None` for a layer that nobody knows.
    pub(crate) fn interrupt_name(&self, layer: u8, vector: u32) -> Option<Untrusted> {
        interrupt_name(layer, vector, self.irq_names)
    }

    pub(crate) fn culprit(&self, owner: Owner, strings: &Strings, cgroups: &Cgroups) -> Culprit {
        let entry = self.entry(owner);
        let name = strings.text(entry.name);
        let Kind::Task(named) = &entry.kind else {
            return Culprit { name, ..Culprit::default() };
        };
        Culprit {
            name,
            process: strings.text(named.process),
            tid: named.task.tid,
            tgid: named.task.tgid,
            cgroup: cgroups.path(named.cgroup),
            priority: named.known_priority(),
        }
    }
}

fn push(entries: &mut Vec<Entry>, entry: Entry) -> Owner {
    entries.push(entry);
    Owner(entries.len() as u32 - 1)
}

fn interrupt_name(
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
