package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// modulePath is what imports within this repository begin with.
const modulePath = "github.com/annals-go/annals"

// file is one Go file of the module, parsed with its comments.
type file struct {
	path string // slashes, relative to the root
	src  []byte
	ast  *ast.File
	fset *token.FileSet
}

// dir is the folder of the file's package, relative to the root.
func (f *file) dir() string { return path.Dir(f.path) }

// test reports whether the file is compiled for tests only.
func (f *file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// checks reports whether the file exists for the sake of tests: a test file, a
// suite such as store/storetest, or something in the folder test.
func (f *file) checks() bool {
	return f.test() || strings.HasSuffix(f.dir(), "test") || under(f.path, "test")
}

// program reports whether the file talks to people: commands and test programs
// print, libraries do not.
func (f *file) program() bool { return under(f.path, "cmd") || f.ast.Name.Name == "main" }

// at prints the place of a node as "folder/file.go:12".
func (f *file) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.fset.Position(n.Pos()).Line)
}

// under reports whether a path is the folder, or in it.
func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// root returns the folder that holds go.mod.
var root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("house: no go.mod above the test's folder")
		}
		dir = filepath.Dir(dir)
	}
})

// texts returns the paths of all files of the repository, relative to the root,
// without what tools leave behind.
var texts = sync.OnceValue(func() []string {
	var paths []string
	err := filepath.WalkDir(root(), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root(), name)
		if err != nil {
			return err
		}
		if rel = filepath.ToSlash(rel); ignored(rel) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() {
			paths = append(paths, rel)
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return paths
})

// ignored reports whether a path is no part of the repository: version control
// and what .gitignore names.
func ignored(rel string) bool {
	if rel == ".git" {
		return true
	}
	return slices.ContainsFunc(gitignore(), func(pattern string) bool {
		if whole, anchored := strings.CutPrefix(pattern, "/"); anchored {
			return rel == strings.TrimSuffix(whole, "/")
		}
		match, err := path.Match(pattern, path.Base(rel))
		return err == nil && match
	})
}

var gitignore = sync.OnceValue(func() []string {
	text, err := os.ReadFile(filepath.Join(root(), ".gitignore"))
	if err != nil {
		panic(err)
	}
	return strings.Fields(string(text))
})

// files returns every Go file of the module, in the order of their paths.
var files = sync.OnceValue(func() []*file {
	var all []*file
	for _, p := range texts() {
		if path.Ext(p) != ".go" || strings.Contains(p, "testdata/") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root(), p))
		if err != nil {
			panic(err)
		}
		f, err := parse(p, src)
		if err != nil {
			panic(err)
		}
		all = append(all, f)
	}
	return all
})

func parse(path string, src []byte) (*file, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	return &file{path: path, src: src, ast: tree, fset: fset}, nil
}

// packages returns the folders that hold a Go package, with their files.
var packages = sync.OnceValue(func() map[string][]*file {
	all := make(map[string][]*file)
	for _, f := range files() {
		all[f.dir()] = append(all[f.dir()], f)
	}
	return all
})

// read returns the text of a file of the repository.
func read(t *testing.T, rel string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(rel)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// exists reports whether the repository has this file or folder.
func exists(rel string) bool {
	_, err := os.Stat(filepath.Join(root(), filepath.FromSlash(rel)))
	return err == nil
}
