//go:build linux

package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/test/fleet"
)

// A cut cable keeps what is beyond it from being reached, and nothing else.
func TestNetwork(t *testing.T) {
	t.Parallel()
	if lacks := missing(); len(lacks) > 0 {
		t.Skipf("SKIPPED, NOT PASSED: this machine lacks %s", strings.Join(lacks, "; "))
	}
	n, err := newNetwork(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.close(); err != nil {
			t.Error(err)
		}
	})
	var l net.Listener
	err = enter(n.host(0), func() (err error) {
		l, err = net.Listen("tcp", n.address(0)+":7000")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	reach := func(from int) error {
		c, err := n.places()[from].Dial("tcp", l.Addr().String())
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	for from := range 3 {
		if err := reach(from); err != nil {
			t.Errorf("host %d: %v", from, err)
		}
	}
	if err := n.cut(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if reach(1) == nil {
		t.Error("it is reached over a cut cable")
	}
	if err := reach(2); err != nil {
		t.Errorf("the other cable: %v", err)
	}
	if err := n.mend(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	// What the kernel learned of a neighbour it could not reach it forgets after a while.
	if err := fleet.Until(t.Context(), time.Minute, "over the mended cable", func() error { return reach(1) }); err != nil {
		t.Error(err)
	}
}
