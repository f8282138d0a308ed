//go:build linux

package main

import (
	"errors"
	"fmt"
)

// report is what is printed in the end.
type report struct {
	// Cells is how many pairs of a user and a subject were tried, Wrong how many
	// came out otherwise than expected.
	Cells   int `json:"cells"`
	Allowed int `json:"allowed"`
	Refused int `json:"refused"`
	Wrong   int `json:"wrong"`
	// Worked is how many things were done that users are for, Failed how many of
	// them failed, and Violations what the server refused meanwhile.
	Worked     int `json:"worked"`
	Failed     int `json:"failed"`
	Violations int `json:"violations"`
	// Planted is how many wrong grants were planted, and Found how many of them the
	// matrix found.
	Planted int     `json:"planted"`
	Found   int     `json:"found"`
	Seconds float64 `json:"seconds"`
}

const (
	minCells  = 80
	minWorked = 20
)

// verdict is nil if all was as it must be.
func (r report) verdict(o options) error {
	var errs []error
	if r.Cells < minCells || r.Allowed == 0 || r.Refused == 0 {
		errs = append(errs, fmt.Errorf("%d cells, %d allowed, %d refused: want %d at least, and some of both", r.Cells, r.Allowed, r.Refused, minCells))
	}
	if r.Wrong > 0 {
		errs = append(errs, fmt.Errorf("%d cells are not as expected", r.Wrong))
	}
	if r.Failed > 0 || r.Violations > 0 || r.Worked < minWorked && !o.matrix {
		errs = append(errs, fmt.Errorf("%d things worked, %d failed, and the server refused %d: want %d at least, and none", r.Worked, r.Failed, r.Violations, minWorked))
	}
	if r.Found != r.Planted || r.Planted == 0 && o.plant == 0 {
		errs = append(errs, fmt.Errorf("of %d wrong grants %d were found", r.Planted, r.Found))
	}
	return errors.Join(errs...)
}
