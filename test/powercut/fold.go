//go:build linux

package main

import (
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/test/fold"
)

// compareView counts the documents in which a view differs from the fold of
// the log.
func compareView(view string, want, got map[string]projector.Document) findings {
	var f findings
	for _, d := range fold.Compare(view, want, got) {
		f.addWrong("%s", d)
	}
	return f
}
