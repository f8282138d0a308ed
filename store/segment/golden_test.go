package segment_test

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// The files in testdata are as they were first written. They are read, never
// written again: a backup is older than the build that restores it.
func TestReadsWhatWasWritten(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]store.Codec{"commits-msgpack": store.MsgPack, "commits-json": store.JSON} {
		file, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		r := opened(t, file)
		got, err := collect(r.All(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(history(t, codec, 12, 3), got); diff != "" {
			t.Errorf("%s: -written +read:\n%s", name, diff)
		}
		if err := r.Verify(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	file, err := os.ReadFile("testdata/values")
	if err != nil {
		t.Fatal(err)
	}
	var sum segment.Sum
	if err := sum.UnmarshalText([]byte("c6dad3424169534f82ca3c067bc4fc09edbfdb41133f5960c9d2cd91d4f34e4d")); err != nil {
		t.Fatal(err)
	}
	got, err := readValues(file, sum)
	want := []segment.Value{{Key: "account/1", Data: []byte("one")}, {Key: "account/2", Data: []byte("two")}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("values: %v\n%s", err, diff)
	}
}
