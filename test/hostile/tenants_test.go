package main

import (
	"strings"
	"testing"
	"time"
)

// The enemy sees nothing where something keeps the tenants apart, and much where nothing
// does: so it can see.
func TestATenantSeesNothingOfAnother(t *testing.T) {
	t.Parallel()
	for _, c := range []tenancy{namespaces, accounts, nothing} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := spy(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range s.wrong {
				t.Error(text)
			}
			if saw := len(s.lines) > 0; saw != c.open {
				t.Errorf("it saw %d things: %.2000s", len(s.lines), strings.Join(s.lines, "\n"))
			}
			t.Logf("tried %v: %d refused by the server, %d messages heard, %d with something of the other's", s.tried, s.refused, s.heard, len(s.lines))
		})
	}
}

// A tenant who floods what is its own costs another a bounded time. Other tests run
// beside this one, so the bound is wider than what "make hostile" holds it to.
func TestATenantIsNotSlowedDownByAnother(t *testing.T) {
	t.Parallel()
	s, err := slow(t.Context(), namespaces, true, time.Second, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("alone: median %v, 99th %v; beside %d requests, of which %d were over quota: median %v, 99th %v",
		s.alone.at(50), s.alone.at(99), s.asked, s.over, s.beside.at(50), s.beside.at(99))
	if most := max(20*s.alone.at(99), time.Second); s.beside.at(99) > most {
		t.Errorf("the 99th percentile went from %v to %v, want at most %v", s.alone.at(99), s.beside.at(99), most)
	}
	if s.asked < 300 || s.over < s.asked/2 {
		t.Errorf("%d requests of the enemy, %d over its quota: that is no flood", s.asked, s.over)
	}
}

// What must not pass does not.
func TestVerdict(t *testing.T) {
	t.Parallel()
	good := report{Attempts: 1000, Kinds: 15, Refused: 500, ControlSeen: 80, Alone99: 2, Beside99: 10, Promised99: 33, Unbounded99: 30, EnemyAsked: 1000, EnemyOver: 900, EnemyDone: 100, EnemyWithout: 900}
	if err := good.verdict(); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*report){
		"something was seen":        func(r *report) { r.Seen = 1 },
		"something is wrong":        func(r *report) { r.Wrong = 1 },
		"the control saw nothing":   func(r *report) { r.ControlSeen = 0 },
		"hardly anything was tried": func(r *report) { r.Attempts = 20 },
		"few kinds":                 func(r *report) { r.Kinds = 3 },
		"nothing was refused":       func(r *report) { r.Refused = 0 },
		"slower than promised":      func(r *report) { r.Beside99, r.Unbounded99 = 34, 50 },
		"no better than without":    func(r *report) { r.EnemyWithout = 199 },
		"nothing is let through":    func(r *report) { r.EnemyDone = 0 },
		"no flood":                  func(r *report) { r.EnemyOver = 10 },
	} {
		r := good
		spoil(&r)
		if r.verdict() == nil {
			t.Errorf("%s, and it passes", what)
		}
	}
}

// The program refuses what it does not know, and does nothing then.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	var out, tell strings.Builder
	if err := run(t.Context(), []string{"-turns", "x"}, &out, &tell); err == nil || out.Len() > 0 {
		t.Errorf("%v, %s", err, out.String())
	}
	if err := run(t.Context(), []string{"more"}, &out, &tell); err == nil || out.Len() > 0 {
		t.Errorf("%v, %s", err, out.String())
	}
}
