package fold

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/annals-go/annals/projector"
)

// Compare tells, one line each and in the order of the keys, the documents in
// which a view differs from the fold: missing, too many, at another position,
// with other contents. How the JSON is spelled does not matter.
func Compare(view string, want, got map[string]projector.Document) []string {
	var differences []string
	note := func(format string, v ...any) { differences = append(differences, fmt.Sprintf(format, v...)) }
	for _, key := range slices.Sorted(maps.Keys(want)) {
		w := want[key]
		g, there := got[key]
		switch {
		case !there:
			note("view %s has no document %s", view, key)
		case g.Position != w.Position:
			note("view %s has %s at position %d, the log at %d", view, key, g.Position, w.Position)
		case !sameJSON(g.Document, w.Document):
			note("view %s has %s as %s, the log as %s", view, key, g.Document, w.Document)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, there := want[key]; !there {
			note("view %s has a document %s that the log does not lead to", view, key)
		}
	}
	return differences
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
