// Prints the Go types of the kinds in client-go's scheme: a line a kind, and a line a struct with
// its fields, as argocd/src/comparison/scheme/table.rs reads them. How lists and maps are owned is
// taken from the OpenAPI document of the API server, which is the argument.
package main

import (
	"encoding"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

type property struct {
	List string   `json:"x-kubernetes-list-type"`
	Keys []string `json:"x-kubernetes-list-map-keys"`
	Map  string   `json:"x-kubernetes-map-type"`
}

type definition struct {
	Properties map[string]property `json:"properties"`
	Map        string              `json:"x-kubernetes-map-type"`
}

var definitions map[string]definition
var lines = map[string]string{}

var special = map[string]string{
	"k8s.io/apimachinery/pkg/api/resource.Quantity":   "Quantity",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Time":       "Time",
	"k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime":  "MicroTime",
	"k8s.io/apimachinery/pkg/apis/meta/v1.Duration":   "Duration",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString": "IntOrString",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":    "Raw",
	"k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1":   "Raw",
}

func name(t reflect.Type) string {
	p := strings.TrimPrefix(t.PkgPath(), "k8s.io/api/")
	p = strings.TrimPrefix(p, "k8s.io/apimachinery/pkg/apis/")
	p = strings.TrimPrefix(p, "k8s.io/apimachinery/pkg/")
	return p + "." + t.Name()
}

// The name of a type in the OpenAPI document.
func modelName(t reflect.Type) string {
	return strings.ReplaceAll(strings.Replace(t.PkgPath(), "k8s.io/", "io.k8s.", 1), "/", ".") + "." + t.Name()
}

var marshaler = reflect.TypeOf((*json.Marshaler)(nil)).Elem()
var textMarshaler = reflect.TypeOf((*encoding.TextMarshaler)(nil)).Elem()

func expr(t reflect.Type) string {
	if s, ok := special[t.PkgPath()+"."+t.Name()]; ok {
		return s
	}
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && (reflect.PointerTo(t).Implements(marshaler) || reflect.PointerTo(t).Implements(textMarshaler)) {
		panic("a marshaler: " + t.String())
	}
	named := ""
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + expr(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[" + expr(t.Elem()) + "]"
	case reflect.Map:
		if t.Name() == "ResourceList" {
			named = "ResourceList"
		}
		if t.Key().Kind() != reflect.String {
			panic(t.String())
		}
		return "{" + expr(t.Elem()) + "}" + named
	case reflect.Struct:
		return define(t)
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int32, reflect.Int64, reflect.Float64, reflect.Int:
		return t.Kind().String()
	}
	panic("unexpected " + t.String() + " " + t.Kind().String())
}

func fields(t reflect.Type, model definition, out *[]string) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		tag := strings.Split(f.Tag.Get("json"), ",")
		if tag[0] == "-" {
			continue
		}
		if f.Anonymous && tag[0] == "" {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				panic("inline pointer")
			}
			fields(inner, model, out)
			continue
		}
		if tag[0] == "" {
			panic("no name " + t.String() + f.Name)
		}
		s := tag[0] + ":" + expr(f.Type)
		for _, o := range tag[1:] {
			switch o {
			case "omitempty":
				s += "?"
			case "omitzero":
				s += "~"
			case "inline":
			default:
				panic(o)
			}
		}
		if p := f.Tag.Get("patchStrategy"); p != "" {
			s += "!" + p
			if k := f.Tag.Get("patchMergeKey"); k != "" {
				s += "/" + k
			}
		}
		if p, ok := model.Properties[tag[0]]; ok {
			switch {
			case p.List == "map":
				s += "=" + strings.Join(p.Keys, "/")
			case p.List == "set":
				s += "=set"
			}
			if p.Map == "atomic" {
				s += "=atomic"
			}
		}
		*out = append(*out, s)
	}
}

func define(t reflect.Type) string {
	n := name(t)
	if _, ok := lines[n]; ok {
		return n
	}
	lines[n] = ""
	model, served := definitions[modelName(t)]
	var out []string
	fields(t, model, &out)
	s := strings.Join(out, " ")
	if model.Map == "atomic" {
		s = "=atomic " + s
	}
	if !served {
		s = "=unserved " + s
	}
	lines[n] = s
	return n
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var doc struct{ Definitions map[string]definition }
	if err := json.Unmarshal(text, &doc); err != nil {
		panic(err)
	}
	definitions = doc.Definitions
	kinds := map[string]string{}
	for gvk, t := range scheme.Scheme.AllKnownTypes() {
		if skip(gvk, t) {
			continue
		}
		kinds[gvk.GroupVersion().String()+" "+gvk.Kind] = expr(t)
	}
	for _, k := range sorted(kinds) {
		fmt.Printf("kind %s %s\n", k, kinds[k])
	}
	for _, k := range sorted(lines) {
		fmt.Printf("%s %s\n", k, lines[k])
	}
}

// What has no metadata is not an object.
func skip(gvk schema.GroupVersionKind, t reflect.Type) bool {
	if gvk.Version == "__internal" || gvk.Kind == "WatchEvent" {
		return true
	}
	_, object := t.FieldByName("ObjectMeta")
	return !object
}

func sorted(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
