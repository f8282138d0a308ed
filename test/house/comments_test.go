package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, f := range files() {
		if f.test() {
			continue
		}
		for _, place := range undocumented(f) {
			t.Error(place)
		}
	}
}

func TestUndocumentedNamesAreNoticed(t *testing.T) {
	t.Parallel()
	f, err := parse("store/x.go", []byte(`package x

type T struct{}          // a comment beside it is none
// Wrong name first.
func F()                 {}
func (T) Method()        {}
func (t) Method()        {} // the type is not exported
func (T) Error() string  { return "" } // says nothing that the interface does not
// V is documented.
var V int
const (
	A = 1
	B = 2 // B is beside its name
)
// XConfig is documented, its fields are not.
type XConfig struct { Field int }
// I is documented, its methods are not.
type I interface { Do() }
`))
	if err != nil {
		t.Fatal(err)
	}
	const want = 6 // T, F, T.Method, A, XConfig.Field, I.Do
	if places := undocumented(f); len(places) != want {
		t.Errorf("found %d places, want %d:\n%s", len(places), want, strings.Join(places, "\n"))
	}
}

// undocumented returns the exported names of f whose comment is missing or does
// not begin with the name.
func undocumented(f *file) []string {
	var found []string
	for _, d := range f.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if exportedFunc(d) && !beginsWith(d.Doc, d.Name.Name) {
				found = append(found, f.at(d)+": "+d.Name.Name+" has no comment that begins with its name")
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				found = append(found, undocumentedSpec(f, d, spec)...)
			}
		}
	}
	return found
}

// wellKnown are methods that say nothing which their interface does not.
var wellKnown = []string{
	"Error", "Is", "String", "Unwrap",
	"MarshalBinary", "MarshalJSON", "MarshalText", "UnmarshalBinary", "UnmarshalJSON", "UnmarshalText",
}

func exportedFunc(fn *ast.FuncDecl) bool {
	if fn.Recv == nil {
		return fn.Name.IsExported()
	}
	return fn.Name.IsExported() && ast.IsExported(receiver(fn)) && !slices.Contains(wellKnown, fn.Name.Name)
}

// receiver returns the name of the method's type, without * and parameters.
func receiver(fn *ast.FuncDecl) string {
	e := fn.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

func undocumentedSpec(f *file, d *ast.GenDecl, spec ast.Spec) []string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return nil
		}
		var found []string
		if !beginsWith(spec.Doc, spec.Name.Name) && !beginsWith(d.Doc, spec.Name.Name) {
			found = append(found, f.at(spec)+": type "+spec.Name.Name+" has no comment that begins with its name")
		}
		return append(found, undocumentedFields(f, spec)...)
	case *ast.ValueSpec:
		name := spec.Names[0]
		alone := len(d.Specs) == 1
		switch {
		case !name.IsExported():
		case alone && !beginsWith(d.Doc, name.Name):
			return []string{f.at(spec) + ": " + name.Name + " has no comment that begins with its name"}
		case d.Doc == nil && spec.Doc == nil && spec.Comment == nil:
			return []string{f.at(spec) + ": " + name.Name + " has no comment, and neither has its group"}
		}
	}
	return nil
}

// undocumentedFields looks where a name alone is never enough: the fields of a
// Config, whose comments give default, unit and reason, and the methods of an
// interface, whose comments are the contract.
func undocumentedFields(f *file, spec *ast.TypeSpec) []string {
	var list []*ast.Field
	switch typ := spec.Type.(type) {
	case *ast.StructType:
		if strings.HasSuffix(spec.Name.Name, "Config") {
			list = typ.Fields.List
		}
	case *ast.InterfaceType:
		list = typ.Methods.List
	}
	var found []string
	for _, field := range list {
		for _, name := range field.Names {
			if name.IsExported() && field.Doc == nil && field.Comment == nil {
				found = append(found, f.at(field)+": "+spec.Name.Name+"."+name.Name+" has no comment")
			}
		}
	}
	return found
}

// beginsWith reports whether the comment's first words are the name, with an
// article before it if the sentence wants one.
func beginsWith(doc *ast.CommentGroup, name string) bool {
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	rest, ok := strings.CutPrefix(text, name)
	return ok && (rest == "" || !token.IsIdentifier(name+rest[:1]))
}
