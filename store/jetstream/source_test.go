package jetstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

func TestReadSource(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]uint64{
		"ANNALS_ns_events_3 17 > > ns.evt.3.account.1":         17,
		"ANNALS_ns_events_3 17 > > ns.evt.3.account.1 ident":   17,
		"ANNALS_ns_events_3:C=x 17 > > ns.evt.3.account.1":     17,
		"ANNALS_ns_events_3 18446744073709551615":              1<<64 - 1,
		"ANNALS_ns_events_3 18446744073709551616 > > ns.evt.3": 0,
		"ANNALS_ns_events_3 0 > > ns.evt.3.account.1":          0,
		"ANNALS_ns_events_3 x > > ns.evt.3.account.1":          0,
		"ANNALS_ns_events_3":                                   0,
		"":                                                     0,
	} {
		stream, local, err := readSource(header)
		if local != want || (err == nil) != (want > 0) || want > 0 && !strings.HasPrefix(header, stream+" ") {
			t.Errorf("%q: %d of %q, %v, want %d", header, local, stream, err, want)
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	n := newNames("ns", 16, 12)
	for name, want := range map[string]int{
		"ANNALS_ns_events_0": 0, "ANNALS_ns_events_11": 11, "ANNALS_ns_events_3:C=x": 3,
		"ANNALS_ns_events_12": -1, "ANNALS_ns_events_-1": -1, "ANNALS_ns_events": -1, "ANNALS_other_events_1": -1, "": -1,
	} {
		if got, ok := n.origin(name); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %t, want %d", name, got, ok, want)
		}
	}
}

// from makes the header of the message that the server sourced.
func from(n *names, stream int, local uint64) string {
	return fmt.Sprintf("%s %d > > subject ident", n.streams[stream].name, local)
}

func TestLineage(t *testing.T) {
	t.Parallel()
	type m struct {
		stream int
		local  uint64
	}
	for _, c := range []struct {
		name   string
		first  uint64 // place of the first message
		all    []m
		damage bool // in the last of them
	}{
		{"from the beginning", 1, []m{{0, 1}, {1, 1}, {0, 2}, {2, 1}, {0, 3}, {1, 2}}, false},
		{"one log stream alone", 1, []m{{2, 1}, {2, 2}, {2, 3}}, false},
		{"the first is missing", 1, []m{{0, 1}, {1, 2}}, true},
		{"one is missing", 1, []m{{0, 1}, {1, 1}, {0, 3}}, true},
		{"one comes twice", 1, []m{{0, 1}, {1, 1}, {1, 1}}, true},
		{"two change places", 1, []m{{0, 1}, {0, 3}}, true},
		{"from the middle", 31, []m{{0, 11}, {1, 11}, {2, 11}, {2, 12}, {0, 12}}, false},
		{"from the middle, one missing", 31, []m{{0, 11}, {0, 13}}, true},
		{"one missing before the middle", 31, []m{{0, 11}, {1, 11}, {2, 10}}, true},
		{"one twice before the middle", 31, []m{{0, 11}, {1, 11}, {2, 12}}, true},
		{"twice before the middle, one log stream unheard of", 31, []m{{0, 11}, {1, 40}}, true},
	} {
		n := newNames("ns", 16, 3)
		g := newLineage(&n, c.first)
		for i, m := range c.all {
			stream, local, err := g.take(c.first+uint64(i), from(&n, m.stream, m.local))
			bad := c.damage && i == len(c.all)-1
			if bad != errors.Is(err, store.ErrDamaged) || !bad && (stream != m.stream || local != m.local) {
				t.Errorf("%s: message %d: %d of stream %d, %v", c.name, i, local, stream, err)
			}
		}
	}
	n := newNames("ns", 16, 3)
	for _, header := range []string{"", "ANNALS_ns_events_3 1", "ANNALS_other_events_1 1"} {
		g := newLineage(&n, 1)
		if _, _, err := g.take(1, header); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%q: %v, want damage", header, err)
		}
	}
}
