//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
)

// outcome is what one store came to, or all together.
type outcome struct {
	Queries int64 `json:"queries"`
	// Failed are queries without an answer, Stale answers without the event that
	// the query's token names.
	Failed int64 `json:"failed"`
	Stale  int64 `json:"stale"`
	// ParityDifferences are documents that the new model had otherwise, of Compared.
	ParityDifferences uint64 `json:"parity_differences"`
	Compared          uint64 `json:"compared"`
	// SwitchMS and RollbackMS are the longest from an operator's request to the last
	// answer of the old version to anybody.
	SwitchMS   float64 `json:"switch_ms"`
	RollbackMS float64 `json:"rollback_ms"`
	// Mixed are answers of the old version to questions that were asked after
	// somebody had been told the new one.
	Mixed    int   `json:"mixed"`
	Rebuilds int   `json:"rebuilds"`
	Commands int64 `json:"commands"`
	// Differences are documents that are, in the end, not the fold of the log.
	Differences int `json:"differences"`
	// WithoutToken is how many queries were asked without a token right after a
	// command, and StaleWithout how many of their answers were stale: the control.
	WithoutToken int64 `json:"without_token"`
	StaleWithout int64 `json:"stale_without"`
}

func (o *outcome) add(s outcome) {
	o.Queries += s.Queries
	o.Failed += s.Failed
	o.Stale += s.Stale
	o.ParityDifferences += s.ParityDifferences
	o.Compared += s.Compared
	o.SwitchMS, o.RollbackMS = max(o.SwitchMS, s.SwitchMS), max(o.RollbackMS, s.RollbackMS)
	o.Mixed += s.Mixed
	o.Rebuilds += s.Rebuilds
	o.Commands += s.Commands
	o.Differences += s.Differences
	o.WithoutToken += s.WithoutToken
	o.StaleWithout += s.StaleWithout
}

// report is the run's last line.
type report struct {
	outcome
	Stores  map[string]outcome `json:"stores"`
	Seconds float64            `json:"seconds"`
	Seed    uint64             `json:"seed"`
}

// mostMS is the longest that a switch may take.
const mostMS = 1000

// verdict says everything that the run falls short of; nil if nothing.
func (r report) verdict(o options) error {
	var short []error
	note := func(wrong bool, format string, v ...any) {
		if wrong {
			short = append(short, fmt.Errorf(format, v...))
		}
	}
	for _, s := range allStores {
		note(!slices.Contains(o.stores, s), "store %s was not tried", s)
	}
	note(r.Failed > 0, "%d queries failed", r.Failed)
	note(r.Stale > 0, "%d answers were stale", r.Stale)
	note(r.ParityDifferences > 0, "%d documents of rebuilt views differ", r.ParityDifferences)
	note(r.Differences > 0, "%d documents are not what the log leads to", r.Differences)
	note(r.Mixed > 0, "%d answers came from the old version after the new one was seen", r.Mixed)
	note(r.Compared == 0, "no document was compared")
	note(r.Queries == 0 || r.Commands == 0, "there was no load")
	note(r.SwitchMS >= mostMS || r.RollbackMS >= mostMS, "a switch took %.0f ms, a roll-back %.0f ms", r.SwitchMS, r.RollbackMS)
	note(r.StaleWithout == 0, "no answer without a token was stale, so this harness would not notice one with it")
	return errors.Join(short...)
}
