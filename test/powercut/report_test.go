//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

func TestVerdict(t *testing.T) {
	t.Parallel()
	good := report{Cuts: 10, Acknowledged: 1000, ControlLost: 5}
	for _, c := range []struct {
		name  string
		spoil func(r *report)
		says  string
	}{
		{"all is well", func(*report) {}, ""},
		{"lost", func(r *report) { r.Lost = 1 }, "1 acknowledged commands were lost"},
		{"ahead", func(r *report) { r.Ahead = 2 }, "2 things were beyond"},
		{"wrong", func(r *report) { r.Wrong = 3 }, "3 things were wrong"},
		{"too few cuts", func(r *report) { r.Cuts = 9 }, "9 cuts"},
		{"a control that keeps everything", func(r *report) { r.ControlLost = 0 }, "the control lost nothing"},
		{"nothing acknowledged", func(r *report) { r.Acknowledged = 0 }, "nothing was acknowledged"},
	} {
		r := good
		c.spoil(&r)
		err := r.verdict()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
}

func TestReportHasTheFieldsThatAreCompared(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(report{})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cuts", "acknowledged", "lost", "ahead", "control_lost", "seconds"} {
		if _, there := fields[name]; !there {
			t.Errorf("no field %s in %s", name, text)
		}
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-cuts", "-1"}, {"-clients", "0"}, {"stray"}, {"-nonsense"}} {
		var out, tell bytes.Buffer
		if err := run(context.Background(), args, &out, &tell); err == nil {
			t.Errorf("%v was taken", args)
		}
		if out.Len() > 0 {
			t.Errorf("%v printed a result: %s", args, out.String())
		}
	}
}
