//go:build linux

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// report is the run's last line.
type report struct {
	Cuts         int     `json:"cuts"`
	Acknowledged int     `json:"acknowledged"`
	Lost         int     `json:"lost"`
	Ahead        int     `json:"ahead"`
	Wrong        int     `json:"wrong"`
	Groundless   int     `json:"groundless"`
	ControlLost  int     `json:"control_lost"`
	SlowestReady float64 `json:"slowest_ready_seconds"`
	Seconds      float64 `json:"seconds"`
	Seed         uint64  `json:"seed"`
}

// minCuts is the fewest cuts that say anything.
const minCuts = 10

// verdict says everything that the run falls short of; nil if nothing.
func (r report) verdict() error {
	var short []error
	if r.Lost != 0 {
		short = append(short, fmt.Errorf("%d acknowledged commands were lost", r.Lost))
	}
	if r.Ahead != 0 {
		short = append(short, fmt.Errorf("%d things were beyond the log's end", r.Ahead))
	}
	if r.Wrong != 0 {
		short = append(short, fmt.Errorf("%d things were wrong otherwise", r.Wrong))
	}
	if r.Cuts < minCuts {
		short = append(short, fmt.Errorf("%d cuts say too little, want %d", r.Cuts, minCuts))
	}
	if r.Acknowledged == 0 {
		short = append(short, errors.New("nothing was acknowledged, so nothing could be lost"))
	}
	if r.ControlLost == 0 {
		short = append(short, errors.New("the control lost nothing, so this harness would not notice a loss"))
	}
	return errors.Join(short...)
}

// findings are what the checks after one cut found.
type findings struct {
	lost, ahead, wrong int
	groundless         int // answers of a system whose disk had failed that must not be
	notes              []string
	ready              time.Duration // of the restart
}

// maxNotes is how many findings are told; all are counted.
const maxNotes = 20

func (f *findings) note(format string, v ...any) {
	if len(f.notes) < maxNotes {
		f.notes = append(f.notes, fmt.Sprintf(format, v...))
	}
}

func (f *findings) addLost(format string, v ...any)  { f.lost++; f.note("lost: "+format, v...) }
func (f *findings) addAhead(format string, v ...any) { f.ahead++; f.note("ahead: "+format, v...) }
func (f *findings) addWrong(format string, v ...any) { f.wrong++; f.note("wrong: "+format, v...) }

// merge adds what other found.
func (f *findings) merge(other findings) {
	f.lost += other.lost
	f.ahead += other.ahead
	f.wrong += other.wrong
	f.notes = slices.Concat(f.notes, other.notes)
}
