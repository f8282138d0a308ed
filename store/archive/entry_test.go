package archive

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzEntry: what lies in a vault as the entry of a run describes files that there can
// be, below that run, or is at fault.
func FuzzEntry(f *testing.F) {
	for _, text := range []string{
		`{"format":1,"namespace":"bank","run":{"name":"r"},"segments":[{"name":"bank/r/1","first":1,"last":2,"streams":"AAAAAAAAAAA="}]}`,
		`{"format":1,"namespace":"bank","run":{"name":"r"},"segments":[null]}`, `{"format":1,"namespace":"bank","run":{"name":"r"}}`, `{}`, `null`, `{"segments":[{"name":"../../etc"}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := &entry{}
		if json.Unmarshal(data, e) != nil || e.fault("bank", entryOf("bank", "r")) != "" {
			return
		}
		for _, s := range e.Segments {
			if !strings.HasPrefix(s.Name, "bank/r/") || s.First == 0 || s.Last < s.First {
				t.Errorf("%+v was taken", s)
			}
		}
	})
}
