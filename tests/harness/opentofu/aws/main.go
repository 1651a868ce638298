// A provider of OpenTofu for the six resources of AWS that `cluster onboard --terraform` writes.
//
// The provider hashicorp/aws is not served as a Go module. This one has the arguments that
// hashicorp/aws 6.25.0 has for these resources, as far as they are written, and makes, reads and
// removes them by the SDK of AWS. What it cannot show is how hashicorp/aws itself does that.
package main

import (
	"context"
	"log"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const address = "registry.opentofu.org/hashicorp/aws"

// clients call AWS in the account of a profile.
type clients struct {
	eks *eks.Client
	iam *iam.Client
}

type aws struct{}

func (aws) Metadata(_ context.Context, _ provider.MetadataRequest, response *provider.MetadataResponse) {
	response.TypeName = "aws"
}

func (aws) Schema(_ context.Context, _ provider.SchemaRequest, response *provider.SchemaResponse) {
	response.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"region":  schema.StringAttribute{Optional: true},
		"profile": schema.StringAttribute{Optional: true},
	}}
}

func (aws) Configure(ctx context.Context, request provider.ConfigureRequest, response *provider.ConfigureResponse) {
	var asked struct {
		Region  types.String `tfsdk:"region"`
		Profile types.String `tfsdk:"profile"`
	}
	response.Diagnostics.Append(request.Config.Get(ctx, &asked)...)
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithRegion(asked.Region.ValueString()),
		config.WithSharedConfigProfile(asked.Profile.ValueString()))
	if err != nil {
		response.Diagnostics.AddError("there is no login to AWS", err.Error())
		return
	}
	response.ResourceData = &clients{eks: eks.NewFromConfig(loaded), iam: iam.NewFromConfig(loaded)}
}

func (aws) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		of(role), of(rolePolicy), of(addon), of(podIdentityAssociation), of(accessEntry), of(accessPolicyAssociation),
	}
}

func (aws) DataSources(context.Context) []func() datasource.DataSource { return nil }

func main() {
	serve := func() provider.Provider { return aws{} }
	if err := providerserver.Serve(context.Background(), serve, providerserver.ServeOpts{Address: address}); err != nil {
		log.Fatal(err)
	}
}
