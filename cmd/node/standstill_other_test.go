//go:build !unix

package node_test

import "github.com/rogpeppe/go-internal/testscript"

// No process can be made to stand still here: the script that needs it skips itself.
func freeze(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("no process stands still here") }

func thaw(ts *testscript.TestScript, _ bool, _ []string) { ts.Fatalf("no process stands still here") }
