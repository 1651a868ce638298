package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	eksTypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamTypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
)

type attributes = map[string]schema.Attribute

func role() kind {
	return kind{
		name: "aws_iam_role",
		schema: schema.Schema{Attributes: attributes{
			"name": required(), "path": optional(), "assume_role_policy": required(), "arn": computed(),
		}},
		create: func(ctx context.Context, aws *clients, a arguments) (map[string]string, error) {
			made, err := aws.iam.CreateRole(ctx, &iam.CreateRoleInput{
				RoleName: a.text("name"), Path: a.text("path"), AssumeRolePolicyDocument: a.text("assume_role_policy"),
			})
			if err != nil {
				return nil, err
			}
			return map[string]string{"arn": *made.Role.Arn}, nil
		},
		exists: func(ctx context.Context, aws *clients, a arguments) (bool, error) {
			_, err := aws.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: a.text("name")})
			return found[*iamTypes.NoSuchEntityException](err)
		},
		remove: func(ctx context.Context, aws *clients, a arguments) error {
			_, err := aws.iam.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: a.text("name")})
			return err
		},
	}
}

func rolePolicy() kind {
	return kind{
		name: "aws_iam_role_policy",
		schema: schema.Schema{Attributes: attributes{
			"name": required(), "role": required(), "policy": required(),
		}},
		create: func(ctx context.Context, aws *clients, a arguments) (map[string]string, error) {
			_, err := aws.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{
				PolicyName: a.text("name"), RoleName: a.text("role"), PolicyDocument: a.text("policy"),
			})
			return nil, err
		},
		exists: func(ctx context.Context, aws *clients, a arguments) (bool, error) {
			_, err := aws.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{
				PolicyName: a.text("name"), RoleName: a.text("role"),
			})
			return found[*iamTypes.NoSuchEntityException](err)
		},
		remove: func(ctx context.Context, aws *clients, a arguments) error {
			_, err := aws.iam.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{
				PolicyName: a.text("name"), RoleName: a.text("role"),
			})
			return err
		},
	}
}

func addon() kind {
	return kind{
		name:   "aws_eks_addon",
		schema: schema.Schema{Attributes: attributes{"cluster_name": required(), "addon_name": required()}},
		create: func(ctx context.Context, aws *clients, a arguments) (map[string]string, error) {
			_, err := aws.eks.CreateAddon(ctx, &eks.CreateAddonInput{
				ClusterName: a.text("cluster_name"), AddonName: a.text("addon_name"),
			})
			return nil, err
		},
		exists: func(ctx context.Context, aws *clients, a arguments) (bool, error) {
			_, err := aws.eks.DescribeAddon(ctx, &eks.DescribeAddonInput{
				ClusterName: a.text("cluster_name"), AddonName: a.text("addon_name"),
			})
			return found[*eksTypes.ResourceNotFoundException](err)
		},
		remove: func(ctx context.Context, aws *clients, a arguments) error {
			_, err := aws.eks.DeleteAddon(ctx, &eks.DeleteAddonInput{
				ClusterName: a.text("cluster_name"), AddonName: a.text("addon_name"),
			})
			return err
		},
	}
}

func podIdentityAssociation() kind {
	return kind{
		name: "aws_eks_pod_identity_association",
		schema: schema.Schema{Attributes: attributes{
			"cluster_name": required(), "namespace": required(), "service_account": required(),
			"role_arn": required(), "target_role_arn": optional(), "association_id": computed(),
		}},
		create: func(ctx context.Context, aws *clients, a arguments) (map[string]string, error) {
			made, err := aws.eks.CreatePodIdentityAssociation(ctx, &eks.CreatePodIdentityAssociationInput{
				ClusterName: a.text("cluster_name"), Namespace: a.text("namespace"),
				ServiceAccount: a.text("service_account"), RoleArn: a.text("role_arn"),
				TargetRoleArn: a.text("target_role_arn"),
			})
			if err != nil {
				return nil, err
			}
			return map[string]string{"association_id": *made.Association.AssociationId}, nil
		},
		exists: func(ctx context.Context, aws *clients, a arguments) (bool, error) {
			_, err := aws.eks.DescribePodIdentityAssociation(ctx, &eks.DescribePodIdentityAssociationInput{
				ClusterName: a.text("cluster_name"), AssociationId: a.text("association_id"),
			})
			return found[*eksTypes.ResourceNotFoundException](err)
		},
		remove: func(ctx context.Context, aws *clients, a arguments) error {
			_, err := aws.eks.DeletePodIdentityAssociation(ctx, &eks.DeletePodIdentityAssociationInput{
				ClusterName: a.text("cluster_name"), AssociationId: a.text("association_id"),
			})
			return err
		},
	}
}

func accessEntry() kind {
	return kind{
		name: "aws_eks_access_entry",
		schema: schema.Schema{Attributes: attributes{
			"cluster_name": required(), "principal_arn": required(), "type": optional(),
			"kubernetes_groups": optionalTexts(),
		}},
		create: func(ctx context.Context, aws *clients, a arguments) (map[string]string, error) {
			_, err := aws.eks.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{
				ClusterName: a.text("cluster_name"), PrincipalArn: a.text("principal_arn"),
				Type: a.text("type"), KubernetesGroups: a.texts(path.Root("kubernetes_groups")),
			})
			return nil, err
		},
		exists: func(ctx context.Context, aws *clients, a arguments) (bool, error) {
			_, err := aws.eks.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{
				ClusterName: a.text("cluster_name"), PrincipalArn: a.text("principal_arn"),
			})
			return found[*eksTypes.ResourceNotFoundException](err)
		},
		remove: func(ctx context.Context, aws *clients, a arguments) error {
			_, err := aws.eks.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{
				ClusterName: a.text("cluster_name"), PrincipalArn: a.text("principal_arn"),
			})
			return err
		},
	}
}

func accessPolicyAssociation() kind {
	scope := path.Root("access_scope").AtListIndex(0)
	return kind{
		name: "aws_eks_access_policy_association",
		schema: schema.Schema{
			Attributes: attributes{
				"cluster_name": required(), "principal_arn": required(), "policy_arn": required(),
			},
			Blocks: map[string]schema.Block{"access_scope": schema.ListNestedBlock{
				NestedObject: schema.NestedBlockObject{Attributes: attributes{
					"type": required(), "namespaces": optionalTexts(),
				}},
			}},
		},
		create: func(ctx context.Context, aws *clients, a arguments) (map[string]string, error) {
			_, err := aws.eks.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{
				ClusterName: a.text("cluster_name"), PrincipalArn: a.text("principal_arn"),
				PolicyArn: a.text("policy_arn"),
				AccessScope: &eksTypes.AccessScope{
					Type:       eksTypes.AccessScopeType(*a.textAt(scope.AtName("type"))),
					Namespaces: a.texts(scope.AtName("namespaces")),
				},
			})
			return nil, err
		},
		exists: func(ctx context.Context, aws *clients, a arguments) (bool, error) {
			all, err := aws.eks.ListAssociatedAccessPolicies(ctx, &eks.ListAssociatedAccessPoliciesInput{
				ClusterName: a.text("cluster_name"), PrincipalArn: a.text("principal_arn"),
			})
			if is, err := found[*eksTypes.ResourceNotFoundException](err); !is {
				return false, err
			}
			for _, policy := range all.AssociatedAccessPolicies {
				if *policy.PolicyArn == *a.text("policy_arn") {
					return true, nil
				}
			}
			return false, nil
		},
		remove: func(ctx context.Context, aws *clients, a arguments) error {
			_, err := aws.eks.DisassociateAccessPolicy(ctx, &eks.DisassociateAccessPolicyInput{
				ClusterName: a.text("cluster_name"), PrincipalArn: a.text("principal_arn"),
				PolicyArn: a.text("policy_arn"),
			})
			return err
		},
	}
}
