package main

import (
	"fmt"

	"github.com/annals-go/annals/test/harness"
)

// options are what a run is told.
type options struct {
	harness.Flags
	subjects, forget int
	plant            string // see plantPlain
}

// report is the last line that is printed.
type report struct {
	Seed      uint64 `json:"seed"`
	Subjects  int    `json:"subjects"`
	Forgotten int    `json:"forgotten"` // in all namespaces, each with a receipt
	Hits      int    `json:"hits"`      // of forgotten persons' data
	Alive     int    `json:"alive"`     // persons that are answered for in all namespaces
	// WrappedHits and KeyHits are those of the forgotten persons' keys.
	WrappedHits int `json:"wrapped_hits"`
	KeyHits     int `json:"key_hits"`
	// AtRest are data of the others in plain, in files that have no business with them.
	AtRest        int   `json:"at_rest"`
	FilesSearched int   `json:"files_searched"`
	BytesSearched int64 `json:"bytes_searched"`
	Answers       int   `json:"answers"` // about the forgotten
	// Before is how many marks of those who are to be forgotten were in answers and in
	// the tables before, WrappedBefore how many of their wrapped keys were in files; Planted how many forms were planted, and
	// PlantedFound how many of these were found.
	Before        int `json:"before"`
	WrappedBefore int `json:"wrapped_before"`
	Planted       int `json:"planted"`
	PlantedFound  int `json:"planted_found"`
	// TabledFound is how many of the living were found in the two tables at the end.
	TabledFound int `json:"tabled_found"`
	// RestoredAlive and RestoredForgotten are the persons that a restored backup answers for,
	// and those of whom it has events that were made unreadable.
	RestoredAlive     int `json:"restored_alive"`
	RestoredForgotten int `json:"restored_forgotten"`

	Commands    int     `json:"commands"`      // before the forgetting
	DuringLoad  int     `json:"during_load"`   // commands and questions while it went on
	LoadFailed  int     `json:"load_failed"`   // of these
	Letters     int     `json:"letters"`       // dead letters of the forgotten
	LettersLeft int     `json:"letters_left"`  // after they were retried
	Archived    int     `json:"archived"`      // streams
	Snapshots   int     `json:"snapshots"`     // in the log's store
	ForgetP50   float64 `json:"forget_p50_ms"` // one person in one namespace
	ForgetP99   float64 `json:"forget_p99_ms"`
	// CleanSeconds is how long it took until the tables' files had nothing of them.
	CleanSeconds float64 `json:"clean_seconds"`
	Seconds      float64 `json:"seconds"`
}

// verdict says what of a run must not be, or makes it worth nothing.
func (r *report) verdict(o options) error {
	switch {
	case r.Hits > 0:
		return fmt.Errorf("%d times something of a forgotten person was found", r.Hits)
	case r.WrappedHits > 0 || r.KeyHits > 0:
		return fmt.Errorf("keys of forgotten persons were found: %d wrapped, %d not", r.WrappedHits, r.KeyHits)
	case r.AtRest > 0:
		return fmt.Errorf("%d times personal data were found in plain where they must be sealed", r.AtRest)
	case r.Forgotten != o.forget:
		return fmt.Errorf("%d of %d persons were forgotten", r.Forgotten, o.forget)
	case r.Alive != o.subjects-o.forget:
		return fmt.Errorf("%d of %d persons are answered for", r.Alive, o.subjects-o.forget)
	case r.RestoredAlive != o.subjects-o.forget || r.RestoredForgotten != o.forget:
		return fmt.Errorf("a restored backup answers for %d of %d persons, and has nothing of %d of %d", r.RestoredAlive, o.subjects-o.forget, r.RestoredForgotten, o.forget)
	case r.LettersLeft > 0:
		return fmt.Errorf("%d streams of forgotten persons stay parked", r.LettersLeft)
	case r.LoadFailed > 0:
		return fmt.Errorf("%d of %d commands and questions failed while persons were forgotten", r.LoadFailed, r.DuringLoad)
	case r.Before == 0 || r.WrappedBefore == 0 || r.Planted == 0 || r.PlantedFound != r.Planted || r.TabledFound != 2*(o.subjects-o.forget):
		return fmt.Errorf("INVALID: the search is blind: it found %d marks and %d wrapped keys before, and %d of %d that were planted, and %d of %d rows of the living", r.Before, r.WrappedBefore, r.PlantedFound, r.Planted, r.TabledFound, 2*(o.subjects-o.forget))
	case r.Answers == 0 || r.FilesSearched == 0 || r.DuringLoad == 0 || r.Letters == 0 || r.Archived == 0 || r.Snapshots == 0:
		return fmt.Errorf("INVALID: something was not tried: %+v", *r)
	}
	return nil
}
