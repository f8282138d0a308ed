// Package ram puts the files of a package's tests into memory, where the system has a
// file system for that: a test of what a server does, hundreds of times, is then not kept
// waiting by a disk.
//
// It owns where temporary files lie, and nothing else. It is never for a test that holds
// a disk to its word, which has to have one.
package ram
