// Command powercut cuts the power of a running system, again and again, and
// proves that nothing it had acknowledged was lost.
//
//	go run ./test/powercut            (as root, on Linux)
//
// Each cut: the loans example runs with its data on an ext4 file system in a
// loop image and is put under load, commands and queries of many clients. At a
// random moment the file system is shut down so that everything that was
// not synced is gone, as it is when the power fails; only then the process is
// killed. The image is mounted again, which replays the journal, the system is
// started on it, and what it holds is compared with what the clients had
// been told.
//
//   - lost: acknowledged commands that are not in the log.
//   - ahead: checkpoints, documents, snapshots and answers that are beyond the
//     log's end.
//   - wrong: everything else that must not be: an answer that the log contradicts,
//     a broken chain, a command that took effect twice or that nobody sent, another answer to the
//     same command id, a view that is not the fold of the log.
//
// Commands stop before every third cut of four, and before every fourth the
// views are removed and built again: then nobody's commits sync what the views
// write.
//
// Beside these it counts what is groundless: answers in the tenth of a second
// between the cut and the kill, such as a refusal because of a history that the server
// could no longer read. A power cut leaves nobody to hear them, so they do not fail
// the run; they tell how a process with a dying disk behaves.
//
// Control cuts run the same without the sync barrier and must lose; if they do
// not, the cuts prove nothing and the run fails.
//
// It prints what it does to standard error and one line of JSON, last, to
// standard output. The exit status is 0 only if lost, ahead and wrong are 0, at
// least 10 cuts were made and the control lost. The moments and the load follow from a seed,
// which is printed, but processes and disks do not: the same seed makes a like run, not the same one. With -self a small writer stands
// in for the loans example: that measures the sync barrier alone.
//
// It needs root, ext4, loop devices and the usual tools (mkfs.ext4, mount,
// umount). It works in a temporary directory of its own, and removes
// file system, mounts and files however it ends.
package main
