package node

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func newSchema(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Look at the types of this build, and check a log with them",
		Example: `{{name}} schema ls
{{name}} schema show TYPE
{{name}} schema check
{{name}} schema migrate OLD NEW`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newSchemaLs(s), newSchemaShow(s), newSchemaCheck(s), newSchemaMigrate(s))
	return cmd
}

// wireType is a wire type of this build as it is printed.
type wireType struct {
	Aggregate string         `json:"aggregate"`
	Kind      actor.TypeKind `json:"kind"`
	actor.Type
}

// wireTypes are those of an aggregate, or of all of them.
func (s *Session) wireTypes(aggregate string) ([]wireType, error) {
	var all []wireType
	for _, d := range s.app.Aggregates {
		if aggregate != "" && d.TypeName() != aggregate {
			continue
		}
		// The codec makes no difference to what the types are.
		m, err := actor.NewModel(d, store.MsgPack)
		if err != nil {
			return nil, err
		}
		for _, kind := range []actor.TypeKind{actor.CommandType, actor.EventType} {
			for _, t := range m.Types(kind) {
				all = append(all, wireType{Aggregate: m.TypeName(), Kind: kind, Type: t})
			}
		}
	}
	return all, nil
}

func newSchemaLs(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the commands and events of this build, with the version of their schema",
		Long:  "It asks nobody: what is listed is what this binary was built with.",
		Example: `{{name}} schema ls
{{name}} schema ls --jq 'select(.kind == "event") | .name'`,
		Args: console.Args(0, 0),
		RunE: func(*cobra.Command, []string) error {
			types, err := s.wireTypes("")
			if err != nil {
				return err
			}
			g := s.Grid("AGGREGATE", "KIND", "NAME", "SCHEMA", "FIELDS")
			for _, t := range types {
				if s.JSON() {
					if err := s.Print(t); err != nil {
						return err
					}
					continue
				}
				var names []string
				for _, f := range t.Fields {
					names = append(names, f.Name)
				}
				g.Add(t.Aggregate, t.Kind, t.Name, t.Schema, s.Wrapped(names...))
			}
			if s.JSON() {
				return nil
			}
			return g.Render("no types: this binary has no application in it")
		},
	}
}

func newSchemaShow(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "show TYPE [NAME]",
		Short: "Show the fields of an aggregate's commands and events",
		Example: `{{name}} schema show TYPE
{{name}} schema show TYPE EVENT`,
		Args:              console.Args(1, 2),
		ValidArgsFunction: completeTypes(s),
		RunE: func(_ *cobra.Command, args []string) error {
			types, err := s.wireTypes(args[0])
			if err != nil {
				return err
			}
			if len(types) == 0 {
				return s.unknown(nil, gateway.CodeUnknownType, "aggregate type", args[0], s.app.typeNames())
			}
			if len(args) == 2 {
				if types, err = s.named(types, args[1]); err != nil {
					return err
				}
			}
			return s.printFields(types)
		},
	}
}

// named returns the types of that name: a command and an event may share one.
func (s *Session) named(types []wireType, name string) ([]wireType, error) {
	var found []wireType
	var names []string
	for _, t := range types {
		names = append(names, t.Name)
		if t.Name == name {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		return nil, s.unknown(nil, gateway.CodeUnknownType, "command or event of "+types[0].Aggregate, name, names)
	}
	return found, nil
}

func (s *Session) printFields(types []wireType) error {
	if s.JSON() {
		for _, t := range types {
			if err := s.Print(t); err != nil {
				return err
			}
		}
		return nil
	}
	g := s.Grid("KIND", "NAME", "SCHEMA", "FIELD", "GO TYPE")
	for _, t := range types {
		if len(t.Fields) == 0 {
			g.Add(t.Kind, t.Name, t.Schema, t.fate(), "")
		}
		for i, f := range t.Fields {
			if i == 0 {
				g.Add(t.Kind, t.Name, t.Schema, f.Name, typeText(f))
			} else {
				g.Add("", "", "", f.Name, typeText(f))
			}
		}
	}
	return g.Render("")
}

// typeText is a field's Go type, and what is personal in it.
func typeText(f actor.Field) string {
	if f.Personal == "" {
		return f.Type
	}
	return f.Type + ", personal " + f.Personal
}

// fate says what is made of an old name when it is read.
func (t wireType) fate() string {
	switch {
	case !t.Old:
		return ""
	case t.Becomes == "":
		return "(old: is split into others, or dropped)"
	}
	return "(old: is read as " + t.Becomes + ")"
}

// noApplication is the failure of what needs the application's own types.
func (s *Session) noApplication(command string) *Failure {
	return &Failure{
		Code: console.CodeUsage, Exit: console.ExitUsage, What: fmt.Sprintf("%s needs an application, and this binary has none", command),
		Why: "it reads the log with the types and rules of a build", Fix: "run the same command of the application's own binary",
	}
}
