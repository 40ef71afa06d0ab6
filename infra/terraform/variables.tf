# What an operator decides. Only `region`, `zones` and `budget` have no default; read each description before the first apply.

variable "region" {
  description = "AWS region of everything; choose one that offers the instance types of `gpu_pools`."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is not of the form us-east-1."
  }
}

variable "name" {
  description = "Prefix of all names, and the cluster's name."
  type        = string
  default     = "potstill"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name has 3 to 20 lower-case letters, digits and hyphens, and starts with a letter."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of server, workers and flow runs; the roles' trust is bound to it."
  type        = string
  default     = "potstill"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace is not a Kubernetes name."
  }
}

variable "vpc_cidr" {
  description = "IPv4 range of the network, a /16."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.vpc_cidr)) && endswith(var.vpc_cidr, "/16")
    error_message = "vpc_cidr is not an IPv4 range of the form 10.40.0.0/16."
  }
}

variable "zones" {
  description = "Availability zones by name, two to four; only append to the list. Choose some that have the instance types of `gpu_pools`, and the more, the better the chance of spot capacity."
  type        = list(string)

  validation {
    condition     = length(distinct(var.zones)) == length(var.zones) && contains([2, 3, 4], length(var.zones))
    error_message = "zones are two to four different ones."
  }

  validation {
    condition     = alltrue([for zone in var.zones : can(regex("^${var.region}[a-z]$", zone))])
    error_message = "zones are names in the region, such as us-east-1a in us-east-1."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes version of the cluster. One whose standard support ended costs six times as much by the hour."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version is not of the form 1.35."
  }
}

variable "api_access_cidrs" {
  description = "IPv4 ranges that may reach the cluster's API from outside, such as 203.0.113.7/32; none: only from inside the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.api_access_cidrs : can(cidrnetmask(range)) && try(tonumber(split("/", range)[1]) >= 16, false)])
    error_message = "api_access_cidrs are IPv4 ranges of /16 or narrower; the API is never opened to the world."
  }
}

variable "cpu_nodes" {
  description = "On-demand nodes for the server, the workers and all stages without a GPU."
  type = object({
    instance_types = list(string)
    min            = number
    max            = number
  })
  default = { instance_types = ["m7i.xlarge", "m6i.xlarge"], min = 2, max = 6 }

  validation {
    condition     = var.cpu_nodes.min >= 1 && var.cpu_nodes.max >= var.cpu_nodes.min && length(var.cpu_nodes.instance_types) > 0
    error_message = "cpu_nodes wants min >= 1, max >= min and an instance type: the server has to run somewhere."
  }
}

variable "gpu_pools" {
  description = "GPU nodes of each work pool, none while nothing runs. All types of a pool must have as many GPUs, with the memory that your recipes are sized for: the autoscaler takes them for alike. Give several: spot capacity of one type alone is often not to be had."
  type = map(object({
    instance_types = list(string)
    max            = number
    capacity_type  = optional(string, "SPOT")
  }))
  default = {
    teacher-gpu = { instance_types = ["p5.48xlarge", "p5en.48xlarge"], max = 1 } # 8 H100 or 8 H200
    student-gpu = { instance_types = ["g6e.4xlarge", "g6e.8xlarge"], max = 2 }   # 1 L40S of 48 GB
  }

  validation {
    condition     = toset(keys(var.gpu_pools)) == toset(["teacher-gpu", "student-gpu"])
    error_message = "gpu_pools has the keys teacher-gpu and student-gpu, as the work pools are called."
  }

  validation {
    condition     = alltrue([for pool in values(var.gpu_pools) : contains(["SPOT", "ON_DEMAND"], pool.capacity_type) && length(pool.instance_types) > 0])
    error_message = "Each of gpu_pools wants instance types, and SPOT or ON_DEMAND as its capacity_type."
  }
}

variable "store_prefix" {
  description = "Folder of the artefact store in the bucket; prompts that runs read lie beside it, under inputs/."
  type        = string
  default     = "store"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]*$", var.store_prefix)) && var.store_prefix != "inputs"
    error_message = "store_prefix is one name of lower-case letters, digits and hyphens, and not inputs."
  }
}

variable "noncurrent_days" {
  description = "Days for which deleted or replaced objects can be brought back."
  type        = number
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 7
    error_message = "noncurrent_days is at least 7."
  }
}

variable "database_class" {
  description = "Instance class of the Prefect server's Postgres."
  type        = string
  default     = "db.t4g.small"
}

variable "database_password" {
  description = "Password of the Prefect server's Postgres, needed at the first apply and to change it; never in the state. Give it as TF_VAR_database_password."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = var.database_password == null || can(regex("^[A-Za-z0-9]{24,}$", var.database_password))
    error_message = "database_password has at least 24 letters and digits, nothing that a URL would need to quote."
  }
}

variable "database_password_version" {
  description = "Raise it by one when database_password changes."
  type        = number
  default     = 1
}

variable "log_days" {
  description = "Days for which the control plane's and the network's logs are kept."
  type        = number
  default     = 365
}

variable "budget" {
  description = "Monthly limit in US dollars for the whole account, and who is told at 80 % (forecast) and 100 % (spent). It warns; it stops nothing."
  type = object({
    usd    = number
    emails = list(string)
  })

  validation {
    condition     = var.budget.usd > 0 && length(var.budget.emails) > 0 && alltrue([for email in var.budget.emails : strcontains(email, "@")])
    error_message = "budget wants a limit above 0 and at least one e-mail address."
  }
}
