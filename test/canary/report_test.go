package main

import (
	"strings"
	"testing"
)

func sound() report {
	return report{
		Subjects: 10, Forgotten: 3, Alive: 7, FilesSearched: 1, BytesSearched: 1, Answers: 1, Before: 1, WrappedBefore: 1, Planted: 5, PlantedFound: 5,
		TabledFound: 14, RestoredAlive: 7, RestoredForgotten: 3, Commands: 1, DuringLoad: 1, Letters: 1, Archived: 1, Snapshots: 1,
	}
}

// Whatever is found or missing has a run fail, and one that could not have found anything
// is said to be invalid.
func TestVerdict(t *testing.T) {
	t.Parallel()
	o := options{subjects: 10, forget: 3}
	r := sound()
	if err := r.verdict(o); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		spoil   func(*report)
		invalid bool
	}{
		"a hit":               {func(r *report) { r.Hits = 1 }, false},
		"a wrapped key":       {func(r *report) { r.WrappedHits = 1 }, false},
		"a key":               {func(r *report) { r.KeyHits = 1 }, false},
		"plain at rest":       {func(r *report) { r.AtRest = 1 }, false},
		"not all forgotten":   {func(r *report) { r.Forgotten-- }, false},
		"not all alive":       {func(r *report) { r.Alive-- }, false},
		"lost by the restore": {func(r *report) { r.RestoredAlive-- }, false},
		"empty restore":       {func(r *report) { r.RestoredForgotten-- }, false},
		"a letter":            {func(r *report) { r.LettersLeft = 1 }, false},
		"a failed command":    {func(r *report) { r.LoadFailed = 1 }, false},
		"nothing before":      {func(r *report) { r.Before = 0 }, true},
		"no keys before":      {func(r *report) { r.WrappedBefore = 0 }, true},
		"a planting unfound":  {func(r *report) { r.PlantedFound-- }, true},
		"nothing planted":     {func(r *report) { r.Planted, r.PlantedFound = 0, 0 }, true},
		"a living row":        {func(r *report) { r.TabledFound-- }, true},
		"no files":            {func(r *report) { r.FilesSearched = 0 }, true},
		"no answers":          {func(r *report) { r.Answers = 0 }, true},
		"no load":             {func(r *report) { r.DuringLoad = 0 }, true},
		"no letters":          {func(r *report) { r.Letters = 0 }, true},
		"no archive":          {func(r *report) { r.Archived = 0 }, true},
		"no snapshots":        {func(r *report) { r.Snapshots = 0 }, true},
	} {
		r := sound()
		c.spoil(&r)
		err := r.verdict(o)
		if err == nil || strings.HasPrefix(err.Error(), "INVALID") != c.invalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}
