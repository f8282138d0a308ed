// Package segment keeps commits outside the log: immutable files of commits in
// their order, compressed, with an index of the streams in them and check sums
// that find a flipped bit and name where it is; and vaults, the places where
// such files are kept.
//
// It owns the format of these files. It never decides which commits belong into
// one, never asks a log, and never changes a file that is written.
package segment
