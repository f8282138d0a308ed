//go:build linux

package main

import (
	"errors"
	"fmt"
)

// partitionReport is the last line of a run with cut links. Times are in
// milliseconds from a cut, the worst of all cuts.
type partitionReport struct {
	Cuts int `json:"cuts"`
	// CommitsTried were sent to the old owner behind the cut, CommitsOK are
	// those that it acknowledged.
	CommitsTried int `json:"commits_tried"`
	CommitsOK    int `json:"commits_ok"`
	// MemoryAnswers came from the old owner behind the cut, the last of them
	// LastMemoryAnswer after the cut; the heir's first answer came FirstHeir
	// after it, so that Margin lay between them at least.
	MemoryAnswers    int   `json:"memory_answers"`
	LastMemoryAnswer int64 `json:"last_memory_answer_ms"`
	FirstHeir        int64 `json:"heir_first_answer_ms"`
	Margin           int64 `json:"margin_ms"`
	// Leader is how many cuts took the log's leader away with the old owner.
	Leader int `json:"cuts_of_the_leader"`

	Acknowledged int     `json:"acknowledged"`
	Lost         int     `json:"lost"`
	Duplicated   int     `json:"duplicated"`
	Reordered    int     `json:"reordered"`
	StaleCommits int     `json:"stale_commits"`
	StaleReads   int     `json:"stale_reads"`
	Unjustified  int     `json:"unjustified"`
	Unsettled    int     `json:"unsettled"`
	Unexpected   int     `json:"unexpected"`
	Views        int     `json:"view_differences"`
	Unknown      int     `json:"unknown"`
	Unavailable  int     `json:"unavailable"`
	Seconds      float64 `json:"seconds"`
	Seed         uint64  `json:"seed"`
}

func (r *partitionReport) add(v *verdict) {
	f := v.findings
	r.Acknowledged, r.Lost, r.Duplicated, r.Reordered, r.StaleCommits = f.Acknowledged, f.Lost, f.Duplicated, f.Reordered, f.StaleCommits
	r.StaleReads, r.Unjustified, r.Unsettled, r.Unexpected, r.Views = f.StaleReads, f.Unjustified, f.Unsettled, f.Unexpected, len(v.views)
	r.Unknown, r.Unavailable = f.Unknown, f.Unavailable
}

// mostMemory is how long after a cut an answer from memory may come: the
// validity of a lease, which was renewed before the cut, and the time that an
// answer takes on a busy machine.
const mostMemory = 1_500 + 100

// verdict says everything that the run falls short of; nil if nothing.
func (r *partitionReport) verdict() error {
	var short []error
	if r.CommitsOK != 0 {
		short = append(short, fmt.Errorf("the old owner acknowledged %d commits behind a cut", r.CommitsOK))
	}
	if r.LastMemoryAnswer > mostMemory {
		short = append(short, fmt.Errorf("the old owner answered from memory %d ms after a cut, want at most %d", r.LastMemoryAnswer, mostMemory))
	}
	if r.Margin <= 0 {
		short = append(short, fmt.Errorf("the heir answered %d ms before the old owner's last answer", -r.Margin))
	}
	if n := r.Lost + r.Duplicated + r.Reordered + r.StaleCommits + r.StaleReads + r.Unjustified + r.Unsettled + r.Unexpected + r.Views; n != 0 {
		short = append(short, fmt.Errorf("the audit found %d violations", n))
	}
	if r.Cuts < 2 || r.Leader == 0 || r.CommitsTried < 10 || r.MemoryAnswers < 10 {
		short = append(short, fmt.Errorf("INVALID: %d cuts, %d of them of the leader, with %d commits tried and %d answers from memory say too little", r.Cuts, r.Leader, r.CommitsTried, r.MemoryAnswers))
	}
	return errors.Join(short...)
}
