# Which Terraform and which provider. One provider, pinned to the release whose schema this configuration was checked against.
# `terraform init` writes .terraform.lock.hcl with the provider's hashes: commit it, with a backend.tf for your state.

terraform {
  required_version = ">= 1.11, < 2.0" # write-only arguments keep the database's password out of the state

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.69.1"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.name }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  cluster   = var.name
}
