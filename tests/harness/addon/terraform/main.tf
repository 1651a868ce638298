# An addon of a cluster, as it is before it moves.
terraform {
  required_providers {
    helm = { source = "hashicorp/helm" }
  }
}

variable "kubeconfig" {
  type = string
}

provider "helm" {
  kubernetes {
    config_path = var.kubeconfig
  }
}

resource "helm_release" "issuer" {
  name             = "issuer"
  namespace        = "issuer"
  create_namespace = true
  chart            = "${path.module}/../chart"
  values           = [file("${path.module}/values.yaml")]
  wait             = false
}
