//go:build linux

package main

import (
	"errors"
	"fmt"
)

// report is the line that is printed.
type report struct {
	Kills   int `json:"kills"`
	Server  int `json:"server_kills"`
	Resumed int `json:"resumed"`
	Refused int `json:"refused"`
	Wrong   int `json:"wrong"`
	// Control is set when the check has found what was planted.
	Control    bool                `json:"control_found"`
	Commits    uint64              `json:"commits"`
	Events     uint64              `json:"events"`
	Operations map[string]*outcome `json:"operations"`
	Seed       uint64              `json:"seed"`
	Seconds    float64             `json:"seconds"`
}

// outcome is what became of one operation.
type outcome struct {
	Kills   int `json:"kills"`
	Server  int `json:"server_kills"`
	Resumed int `json:"resumed"` // given again, it ended well
	Refused int `json:"refused"` // given again, it said that all is there
	// Missed is how often it had ended before its moment.
	Missed      int      `json:"missed"`
	Undisturbed float64  `json:"undisturbed_seconds"`
	Wrong       []string `json:"wrong,omitempty"`
}

func (r *report) add(o *outcome) {
	r.Kills += o.Kills
	r.Server += o.Server
	r.Resumed += o.Resumed
	r.Refused += o.Refused
	r.Wrong += len(o.Wrong)
}

// verdict is nil only if everything was tried and nothing was wrong.
func (r *report) verdict(o options) error {
	switch {
	case r.Wrong > 0:
		return fmt.Errorf("%d of %d kills left something wrong", r.Wrong, r.Kills)
	case !r.Control:
		return errors.New("the check did not find the commit that was planted: it proves nothing")
	case len(r.Operations) < len(operationNames()):
		return errors.New("NOT TRIED, NOT PASSED: some operations were left out")
	case r.Kills < o.kills*len(r.Operations):
		return fmt.Errorf("%d kills, want %d", r.Kills, o.kills*len(r.Operations))
	}
	return nil
}
