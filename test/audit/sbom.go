package main

import (
	"encoding/json"
	"runtime"

	"github.com/google/uuid"
)

// The parts of a bill of materials in CycloneDX's JSON that are used here.
type (
	cyclone struct {
		Format       string       `json:"bomFormat"`
		SpecVersion  string       `json:"specVersion"`
		SerialNumber string       `json:"serialNumber,omitempty"`
		Version      int          `json:"version"`
		Metadata     metadata     `json:"metadata"`
		Components   []component  `json:"components"`
		Dependencies []dependency `json:"dependencies"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type       string     `json:"type"`
		Ref        string     `json:"bom-ref"`
		Name       string     `json:"name"`
		Version    string     `json:"version,omitempty"`
		Scope      string     `json:"scope,omitempty"`
		Licences   []licence  `json:"licenses,omitempty"`
		URL        string     `json:"purl"`
		Properties []property `json:"properties,omitempty"`
	}
	licence struct {
		Licence struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	dependency struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn,omitempty"`
	}
)

// bill returns the bill of materials. needs holds what each module requires.
func bill(modules []*module, needs map[string][]string) ([]byte, error) {
	refs := map[string]string{own: reference(own, "")}
	b := cyclone{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{component{
			Type: "library", Ref: refs[own], Name: own, Licences: licences([]string{"Apache-2.0"}), URL: refs[own],
		}},
		Components: []component{standardLibrary()},
	}
	for _, m := range modules {
		refs[m.Path] = reference(m.Path, m.Version)
		b.Components = append(b.Components, m.component())
	}
	for _, path := range append([]string{own}, names(modules)...) {
		d := dependency{Ref: refs[path]}
		for _, target := range needs[path] {
			d.DependsOn = append(d.DependsOn, refs[target])
		}
		b.Dependencies = append(b.Dependencies, d)
	}
	content, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	b.SerialNumber = "urn:uuid:" + uuid.NewSHA1(uuid.NameSpaceURL, content).String()
	text, err := json.MarshalIndent(b, "", "  ")
	return append(text, '\n'), err
}

func (m *module) component() component {
	scope := "excluded"
	if m.Shipped {
		scope = "required"
	}
	ref := reference(m.Path, m.Version)
	return component{
		Type: "library", Ref: ref, Name: m.Path, Version: m.Version, Scope: scope,
		Licences: licences(m.Licences), URL: ref, Properties: []property{{"golang:h1", m.Sum}},
	}
}

func standardLibrary() component {
	ref := reference("std", runtime.Version())
	return component{
		Type: "library", Ref: ref, Name: "std", Version: runtime.Version(), Scope: "required",
		Licences: licences([]string{"BSD-3-Clause"}), URL: ref,
	}
}

func licences(ids []string) []licence {
	all := make([]licence, len(ids))
	for i, id := range ids {
		all[i].Licence.ID = id
	}
	return all
}

// reference is a module's package URL, by which the parts of a bill name each other.
func reference(path, version string) string {
	ref := "pkg:golang/" + path
	if version != "" {
		ref += "@" + version
	}
	return ref
}
