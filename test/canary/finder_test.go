package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/annals-go/annals/store/segment"
)

// searched returns how often each field of a person is found in a file.
func searched(t *testing.T, p *person, text []byte) map[string]int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	s := &search{finder: newFinder(p.marks), report: func(h hit) { found[h.mark.field]++ }}
	if err := s.tree(filepath.Dir(file)); err != nil {
		t.Fatal(err)
	}
	if s.Files != 1 || s.Bytes != int64(len(text)) {
		t.Errorf("looked through %d files, %d bytes of %d", s.Files, s.Bytes, len(text))
	}
	return found
}

// Whatever a value is written as, each field of it is found, and none twice.
func TestEachFieldIsFoundInEachForm(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := newPerson(rand.New(rand.NewPCG(seed, 0)), 7, 3)
	asJSON, err := json.Marshal(p.details)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := msgpack.Marshal(p.details)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	const fields = 10
	for what, text := range map[string][]byte{
		"json":                     asJSON,
		"msgpack":                  packed,
		"indented":                 []byte(strings.ReplaceAll(string(asJSON), ",", ",\n\t")),
		"printed":                  fmt.Appendf(nil, "%v", p.details),
		"with quotes":              fmt.Appendf(nil, "%q", asJSON),
		"base64":                   []byte(base64.StdEncoding.EncodeToString(packed)),
		"base64, one byte further": []byte(base64.URLEncoding.EncodeToString(append([]byte{1}, packed...))),
		"base64, two bytes":        []byte(base64.RawStdEncoding.EncodeToString(append([]byte{1, 2}, packed...))),
		"hex":                      []byte(hex.EncodeToString(packed)),
		"HEX":                      []byte(strings.ToUpper(hex.EncodeToString(packed))),
		"compressed":               zip.EncodeAll(packed, []byte("before it\n")),
	} {
		missing := map[string]bool{}
		for _, m := range p.marks {
			missing[m.field] = true
		}
		for _, apart := range []string{"second name", "refused name", "note", "member"} {
			delete(missing, apart)
		}
		found := searched(t, p, text)
		for field := range missing {
			if found[field] == 0 {
				t.Errorf("%s: the %s is not found", what, field)
			}
		}
		if len(found) > fields {
			t.Errorf("%s: more than what is there is found: %v", what, found)
		}
	}
	if found := searched(t, newPerson(rand.New(rand.NewPCG(seed, 1)), 8, 3), asJSON); len(found) > 0 {
		t.Errorf("somebody else is found: %v", found)
	}
}

// Texts are found in the forms that not all values have: each of PostgreSQL's groups, what
// servers compress for each other, files of an archive, and what other programs write.
func TestTextsAreFoundInMoreForms(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	p := newPerson(rand.New(rand.NewPCG(seed, 0)), 7, 3)
	text, err := json.Marshal(p.details)
	if err != nil {
		t.Fatal(err)
	}
	// The fields apart, so that in none of them anything of another is abbreviated.
	var apart []byte
	forms := map[string][]byte{}
	for _, field := range texts {
		apart = append(append(apart, "\x01--------"...), p.mark(field)...)
	}
	for at := range pglzGroup {
		forms[fmt.Sprintf("pglz+%d", at)] = asGroups(apart, at)
	}
	for at, c := range text {
		forms["UTF-16, little endian"] = append(forms["UTF-16, little endian"], c, 0)
		forms["UTF-16, big endian"] = append(forms["UTF-16, big endian"], 0, c)
		if at > 0 {
			forms["list of numbers"] = append(forms["list of numbers"], ',')
		}
		forms["list of numbers"] = fmt.Appendf(forms["list of numbers"], "%d", c)
	}
	forms["compressed between servers"] = s2.EncodeSnappy(nil, append(bytes.Repeat([]byte("before it "), 1000), text...))
	var file bytes.Buffer
	w := segment.NewValueWriter(&file)
	err = w.Add("key", bytes.Repeat(text, 20))
	if _, _, _, closed := w.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	forms["file of values"] = file.Bytes()
	for what, text := range forms {
		found := searched(t, p, text)
		for _, field := range texts {
			if found[field] == 0 {
				t.Errorf("%s: the %s is not found", what, field)
			}
		}
	}
}

// texts are fields whose marks are texts.
var texts = []string{"name", "street", "first phone", "second phone", "room", "label", "label's name", "alias"}

// asGroups writes text as PostgreSQL does where nothing can be abbreviated: a zero byte
// before each group. The first group is shorter.
func asGroups(text []byte, first int) []byte {
	packed := append([]byte{0}, text[:first]...)
	for group := range slices.Chunk(text[first:], pglzGroup) {
		packed = append(append(packed, 0), group...)
	}
	return packed
}

// A mark is found once wherever it lies across the pieces that a file is read in.
func TestMarksAcrossWindows(t *testing.T) {
	t.Parallel()
	p := newPerson(rand.New(rand.NewPCG(1, 2)), 1, 1)
	name := p.mark("street")
	longest := newFinder(p.marks).longest
	for _, at := range []int{0, window - 5, window + longest - 1, window + longest - len(name), window + longest, 2*window + longest - 3, 2*window + 3*longest} {
		text := make([]byte, 3*window)
		copy(text[at:], name)
		if found := searched(t, p, text); found["street"] != 1 || len(found) != 1 {
			t.Errorf("at %d: %v", at, found)
		}
	}
}
