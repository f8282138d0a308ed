// Package harness is what the programs that put this project on trial begin and end
// with: signals, common flags, processes, waiting, and the line of JSON with the verdict.
//
// It owns nothing that is tried and decides nothing about it. It never ends a process
// that it did not start.
package harness
