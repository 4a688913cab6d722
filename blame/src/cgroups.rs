//! The cpu controller's cgroups: their paths, which is the root, and which lies above which.

use std::collections::BTreeMap;

use cronx_recording::Untrusted;

/// The id that the root has in every kernel.
const ROOT: u64 = 1;

/// Paths by id; an id without a path is known by its number alone.
#[derive(Debug, Default)]
pub(crate) struct Cgroups<'a>(Option<&'a BTreeMap<u64, Untrusted>>);

impl<'a> Cgroups<'a> {
    pub(crate) fn new(paths: Option<&'a BTreeMap<u64, Untrusted>>) -> Self {
        Self(paths)
    }

    fn known(&self, id: u64) -> Option<&'a Untrusted> {
        self.0?.get(&id)
    }

    /// Its path, or words for its number; empty if it is not known at all.
    pub(crate) fn path(&self, id: u64) -> Untrusted {
        match self.known(id) {
            _ if id == 0 => Untrusted::default(),
            Some(path) => path.clone(),
            None if id == ROOT => "/".into(),
            None => format!("cgroup {id}").into(),
        }
    }

    /// Whether both are one cgroup that means something: the root holds whoever nobody put anywhere.
    pub(crate) fn share(&self, a: u64, b: u64) -> bool {
        a == b && a != 0 && !self.is_root(a)
    }

    fn is_root(&self, id: u64) -> bool {
        id == ROOT || self.known(id).is_some_and(|path| path.raw() == "/")
    }

    /// Whether both lie in one of the cgroups right below the root; `None` where a path is missing.
    pub(crate) fn are_kin(&self, a: u64, b: u64) -> Option<bool> {
        let eldest = |id| self.known(id)?.raw().split('/').find(|name| !name.is_empty());
        if a == b {
            return Some(!self.is_root(a));
        }
        self.known(a).and(self.known(b))?;
        Some(eldest(a).is_some() && eldest(a) == eldest(b))
    }

    /// Whether `above` is `below` itself or one of those that it lies in; `None` where a path is
    /// missing.
    pub(crate) fn holds(&self, above: u64, below: u64) -> Option<bool> {
        if above == below || self.is_root(above) {
            return Some(true);
        }
        let rest = self.known(below)?.raw().strip_prefix(self.known(above)?.raw());
        Some(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: impl Fn(&Cgroups)) {
        let paths = [(7, "/"), (8, "/a"), (9, "/a/b"), (10, "/ab")];
        let paths = paths.into_iter().map(|(id, path)| (id, path.into())).collect();
        test(&Cgroups::new(Some(&paths)));
    }

    #[test]
    fn paths_numbers_and_nothing() {
        check(|cgroups| {
            let path = |id| cgroups.path(id).raw().to_owned();
            assert_eq!([path(0), path(1), path(9), path(5)], ["", "/", "/a/b", "cgroup 5"]);
        });
    }

    #[test]
    fn the_root_and_the_unknown_are_shared_by_nobody() {
        check(|cgroups| {
            let shared = [0, 1, 5, 7, 8].map(|id| cgroups.share(id, id));
            assert_eq!(shared, [false, false, true, false, true]);
            assert!(!cgroups.share(8, 9));
        });
    }

    #[test]
    fn kin_are_below_one_of_the_eldest() {
        check(|cgroups| {
            let kin_of_9 = [7, 8, 9, 10].map(|id| cgroups.are_kin(id, 9));
            assert_eq!(kin_of_9, [false, true, true, false].map(Some));
            assert_eq!([cgroups.are_kin(7, 7), cgroups.are_kin(5, 5)], [false, true].map(Some));
            assert_eq!(cgroups.are_kin(5, 9), None);
        });
    }

    #[test]
    fn above_is_by_whole_names() {
        check(|cgroups| {
            let above_9 = [1, 7, 8, 9, 10].map(|id| cgroups.holds(id, 9));
            assert_eq!(above_9, [true, true, true, true, false].map(Some));
            assert_eq!(cgroups.holds(9, 8), Some(false));
            assert_eq!([cgroups.holds(5, 9), cgroups.holds(9, 5)], [None, None]);
            assert_eq!(cgroups.holds(5, 5), Some(true));
        });
    }
}
