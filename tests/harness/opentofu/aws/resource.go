package main

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// kind is one kind of resource. Its arguments are texts and lists of texts.
type kind struct {
	name   string
	schema schema.Schema
	// create makes it, and gives what AWS made up.
	create func(context.Context, *clients, arguments) (map[string]string, error)
	// exists says whether AWS still has it.
	exists func(context.Context, *clients, arguments) (bool, error)
	remove func(context.Context, *clients, arguments) error
}

// arguments reads the arguments of a plan or of a state.
type arguments struct {
	ctx         context.Context
	get         func(context.Context, path.Path, any) diag.Diagnostics
	diagnostics *diag.Diagnostics
}

func (a arguments) text(name string) *string { return a.textAt(path.Root(name)) }

func (a arguments) textAt(where path.Path) *string {
	var value types.String
	a.diagnostics.Append(a.get(a.ctx, where, &value)...)
	return value.ValueStringPointer()
}

func (a arguments) texts(where path.Path) []string {
	var value []string
	var list types.Set
	a.diagnostics.Append(a.get(a.ctx, where, &list)...)
	if !list.IsNull() && !list.IsUnknown() {
		a.diagnostics.Append(list.ElementsAs(a.ctx, &value, false)...)
	}
	return value
}

// one is a resource of a kind.
type one struct {
	kind    kind
	clients *clients
}

func of(make func() kind) func() resource.Resource {
	return func() resource.Resource { return &one{kind: make()} }
}

func (o *one) Metadata(_ context.Context, _ resource.MetadataRequest, response *resource.MetadataResponse) {
	response.TypeName = o.kind.name
}

func (o *one) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = o.kind.schema
}

func (o *one) Configure(_ context.Context, request resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	o.clients, _ = request.ProviderData.(*clients)
}

func (o *one) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	made, err := o.kind.create(ctx, o.clients, arguments{ctx, request.Plan.GetAttribute, &response.Diagnostics})
	if err != nil {
		response.Diagnostics.AddError("AWS did not make "+o.kind.name, err.Error())
		return
	}
	response.State.Raw = request.Plan.Raw
	for name, value := range made {
		response.Diagnostics.Append(response.State.SetAttribute(ctx, path.Root(name), value)...)
	}
}

func (o *one) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	exists, err := o.kind.exists(ctx, o.clients, arguments{ctx, request.State.GetAttribute, &response.Diagnostics})
	switch {
	case err != nil:
		response.Diagnostics.AddError("AWS did not show "+o.kind.name, err.Error())
	case !exists:
		response.State.RemoveResource(ctx)
	}
}

func (o *one) Update(_ context.Context, _ resource.UpdateRequest, response *resource.UpdateResponse) {
	response.Diagnostics.AddError("every argument makes a new "+o.kind.name, "so there are no updates")
}

func (o *one) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	err := o.kind.remove(ctx, o.clients, arguments{ctx, request.State.GetAttribute, &response.Diagnostics})
	if err != nil {
		response.Diagnostics.AddError("AWS did not remove "+o.kind.name, err.Error())
	}
}

// found tells whether a call failed as what it asks for is not there.
func found[E error](err error) (bool, error) {
	var missing E
	if errors.As(err, &missing) {
		return false, nil
	}
	return err == nil, err
}

func replacing() []planmodifier.String {
	return []planmodifier.String{stringplanmodifier.RequiresReplace()}
}

func required() schema.Attribute {
	return schema.StringAttribute{Required: true, PlanModifiers: replacing()}
}

func optional() schema.Attribute {
	return schema.StringAttribute{Optional: true, PlanModifiers: replacing()}
}

func computed() schema.Attribute {
	return schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{
		stringplanmodifier.UseStateForUnknown(),
	}}
}

func optionalTexts() schema.Attribute {
	return schema.SetAttribute{Optional: true, ElementType: attr.Type(types.StringType)}
}
