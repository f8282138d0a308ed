//go:build linux

package main

import (
	"errors"
	"fmt"
)

// report is what is printed in the end.
type report struct {
	Streams      int `json:"streams"`
	Events       int `json:"events"`
	Differences  int `json:"differences"`
	FlipsPlanted int `json:"flips_planted"`
	FlipsFound   int `json:"flips_found"`
	// Past is how many states of a namespace that was restored to a position were
	// compared, and Control how many of these differ from the states of the end.
	Past           int     `json:"past"`
	Control        int     `json:"control"`
	BackupBytes    int64   `json:"backup_bytes"`
	BackupSeconds  float64 `json:"backup_seconds"`
	RestoreSeconds float64 `json:"restore_seconds"`
	Seed           uint64  `json:"seed"`
	Seconds        float64 `json:"seconds"`
}

// minFlips is how many bits a run has to flip to count.
const minFlips = 4

// verdict is nil if all was as it must be.
func (r report) verdict() error {
	var errs []error
	if r.Streams == 0 || r.Past == 0 {
		errs = append(errs, errors.New("nothing was compared"))
	}
	if r.Differences > 0 {
		errs = append(errs, fmt.Errorf("%d differences", r.Differences))
	}
	if r.Control == 0 {
		errs = append(errs, errors.New("the states of the middle do not differ from those of the end: the comparison finds nothing"))
	}
	if r.FlipsPlanted < minFlips || r.FlipsFound != r.FlipsPlanted {
		errs = append(errs, fmt.Errorf("of %d flipped bits %d were found and named; want all of at least %d", r.FlipsPlanted, r.FlipsFound, minFlips))
	}
	return errors.Join(errs...)
}
