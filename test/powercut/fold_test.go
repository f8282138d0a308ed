//go:build linux

package main

import (
	"encoding/json"
	"testing"

	"github.com/annals-go/annals/projector"
)

func TestCompareViewCountsDifferences(t *testing.T) {
	t.Parallel()
	want := map[string]projector.Document{"x": {Position: 1, Document: json.RawMessage(`{}`)}}
	if f := compareView("v", want, want); f.wrong != 0 {
		t.Errorf("%d wrong, want none: %v", f.wrong, f.notes)
	}
	if f := compareView("v", want, nil); f.wrong != 1 || len(f.notes) != 1 {
		t.Errorf("%d wrong, want 1: %v", f.wrong, f.notes)
	}
}
