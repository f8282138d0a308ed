//go:build unix

package node_test

import (
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// freeze has all processes in the background stand still, for a third of the script's
// patience at most: a script that fails waits for its processes.
func freeze(ts *testscript.TestScript, _ bool, _ []string) {
	signal(ts, syscall.SIGSTOP)
	for _, c := range ts.BackgroundCmds() {
		time.AfterFunc(patience/3, func() { _ = c.Process.Signal(syscall.SIGCONT) })
	}
}

// thaw has them go on.
func thaw(ts *testscript.TestScript, _ bool, _ []string) { signal(ts, syscall.SIGCONT) }

func signal(ts *testscript.TestScript, s syscall.Signal) {
	all := ts.BackgroundCmds()
	if len(all) == 0 {
		ts.Fatalf("nothing runs in the background")
	}
	for _, c := range all {
		ts.Check(c.Process.Signal(s))
	}
}
