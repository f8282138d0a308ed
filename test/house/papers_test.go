package house

import (
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// goBlock is a fenced block of Go in a document.
var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestReadmeCompiles has the README's Go blocks checked by go vet, as the files
// of one program in a module of its own, as a reader would have them.
func TestReadmeCompiles(t *testing.T) {
	t.Parallel()
	blocks := goBlock.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no Go")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, block := range blocks {
		name := fmt.Sprintf("block%d.go", i+1)
		if strings.Contains(block[1], `"testing"`) {
			name = fmt.Sprintf("block%d_test.go", i+1)
		}
		write(name, block[1])
		if formatted, err := format.Source([]byte(block[1])); err != nil || string(formatted) != block[1] {
			t.Errorf("Go block %d of the README is not formatted: %v", i+1, err)
		}
	}
	// The same versions as here, so that nothing has to be looked up.
	mod := strings.Replace(read(t, "go.mod"), "module "+modulePath, "module readme", 1)
	write("go.mod", fmt.Sprintf("%s\nrequire %s v0.0.0\nreplace %s => %s\n", mod, modulePath, modulePath, root()))
	write("go.sum", read(t, "go.sum"))
	vet := exec.CommandContext(t.Context(), "go", "vet", ".")
	vet.Dir = dir
	vet.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("go vet of the README's blocks: %v\n%s", err, out)
	}
}

// Documents name files; a file that was renamed takes its mention along.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	t.Parallel()
	mention := regexp.MustCompile("`([A-Za-z0-9_./-]+\\.(?:go|md|yml|txtar)|[a-z]+(?:/[a-z]+)+/?)`|\\]\\(([^)#:]+)(?:#[^)]*)?\\)")
	for _, doc := range texts() {
		if path.Ext(doc) != ".md" || strings.Contains(doc, "testdata/") {
			continue
		}
		for i, line := range strings.Split(read(t, doc), "\n") {
			for _, m := range mention.FindAllStringSubmatch(line, -1) {
				named := m[1] + m[2]
				if !resolves(doc, named) {
					t.Errorf("%s:%d: names %s, which does not exist", doc, i+1, named)
				}
			}
		}
	}
}

// resolves reports whether a name in a document is a file or folder seen from
// the document's folder or from the root; a path that begins outside the
// module is somebody else's.
func resolves(doc, named string) bool {
	first, _, nested := strings.Cut(named, "/")
	if nested && !slices.Contains(topFolders, first) && !exists(path.Join(path.Dir(doc), first)) {
		return true
	}
	if exists(named) || exists(path.Join(path.Dir(doc), named)) {
		return true
	}
	return !nested && slices.Contains(everywhere, named)
}

// everywhere are the files that each package has.
var everywhere = []string{"doc.go", "DESIGN.md"}

func TestReadmeNamesTargetsThatExist(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	targets := regexp.MustCompile(`(?m)^([a-z]+):.*## `)
	var have []string
	for _, m := range targets.FindAllStringSubmatch(makefile, -1) {
		have = append(have, m[1])
	}
	for _, doc := range []string{"README.md", "ARCHITECTURE.md"} {
		for _, m := range regexp.MustCompile("`make ([a-z]+)").FindAllStringSubmatch(read(t, doc), -1) {
			if !slices.Contains(have, m[1]) {
				t.Errorf("%s names make %s; the Makefile has %v", doc, m[1], have)
			}
		}
	}
}

func TestReadmeShowsTheTwoCommands(t *testing.T) {
	t.Parallel()
	readme := read(t, "README.md")
	for _, command := range []string{"go run ./cmd/loans dev", "go test ./..."} {
		if !strings.Contains(readme, command) {
			t.Errorf("the README does not show %q", command)
		}
	}
	for _, doc := range []string{"README.md", "ARCHITECTURE.md"} {
		if !strings.Contains(read(t, doc), "The log decides; everything else is a cache.") {
			t.Errorf("%s does not say what decides", doc)
		}
	}
}

// The repository is the same on every machine: no folder of somebody's disk and
// no host of a package registry. The pattern does not match itself.
var machine = regexp.MustCompile(`(?:^|[\s"'=(:])/(?:hom[e]|Use[r]s|roo[t]|wor[k]|far[m])/|/tm[p]/[a-z]+_jobs|prox[y]\.golang|registr[y]\.npmjs|de[b]\.debian|\.librar[y]/`)

func TestNothingNamesAMachine(t *testing.T) {
	t.Parallel()
	for _, name := range texts() {
		text := read(t, name)
		if name == "go.sum" || strings.ContainsRune(text, 0) {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if m := machine.FindString(line); m != "" {
				t.Errorf("%s:%d: %q", name, i+1, strings.TrimSpace(m))
			}
		}
	}
}
